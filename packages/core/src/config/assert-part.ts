import { KestConfigError } from '../errors.js'

/** @throws {KestConfigError} for a part that is there and has not these methods */
export function assertPart(name: string, part: unknown, methods: readonly string[]): void {
  if (part === undefined) return
  for (const method of methods) {
    if (typeof (part as Record<string, unknown> | null)?.[method] !== 'function') {
      throw new KestConfigError(`${name}: expected an object with a method ${method}()`)
    }
  }
}
