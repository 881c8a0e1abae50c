import { KestConfigError } from '../errors.js'
import { isEngine } from '../policy/is-engine.js'

/** @throws {KestConfigError} for a part that is there and has not these methods */
export function assertPart(name: string, part: unknown, methods: readonly string[]): void {
  if (part === undefined) return
  for (const method of methods) {
    if (typeof (part as Record<string, unknown> | null)?.[method] !== 'function') {
      throw new KestConfigError(`${name}: expected an object with a method ${method}()${hint(part)}`)
    }
  }
}

/** @throws {KestConfigError} for an engine that cannot be asked, or says that it can be asked at once and cannot */
export function assertEngine(name: string, engine: unknown): void {
  assertPart(name, engine, ['evaluate'])
  if (engine !== undefined && !isEngine(engine))
    throw new KestConfigError(`${name}: expected evaluateAll to be a method, where there is one`)
}

/** What was given in its place, where it is easily mistaken. */
function hint(part: unknown): string {
  if (typeof part === 'function') return ', got a function or a class: call it, or make one with new'
  if (typeof part !== 'object' || part === null) return `, got ${part === null ? 'null' : typeof part}`
  if ('then' in part) return ', got a promise: await it'
  if ('getX509Bundle' in part) return ', got a source of SVIDs: SPIREProvider.of(source) of @kest/spiffe'
  if ('find' in part) return ', got a key source: it belongs to trust'
  if ('evaluate' in part) return ', got a policy engine: it belongs to engine'
  if ('getWorkloadId' in part) return ', got an identity provider: it belongs to identity'
  return ''
}
