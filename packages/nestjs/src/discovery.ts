import { KestConfigError } from '@kest/core'
import { MetadataScanner, type ModulesContainer } from '@nestjs/core'
import { isCovered, kindOf } from './handlers.js'
import { markOf, nameOf } from './marks.js'

/** A method of what the application's modules hold. */
export interface DiscoveredMethod {
  readonly prototype: object
  readonly name: string
  readonly method: object
  /** `null` for what is made anew for each request, and for what is not made yet. */
  readonly instance: object | null
}

/** All methods of controllers and providers, the inherited ones too. */
export function methodsOf(modules: ModulesContainer): DiscoveredMethod[] {
  const scanner = new MetadataScanner()
  const wrappers = [...modules.values()].flatMap(({ controllers, providers }) => [
    ...controllers.values(),
    ...providers.values(),
  ])
  const methods = new Map<object, DiscoveredMethod[]>()
  for (const { instance, metatype } of wrappers) {
    const made = typeof instance === 'object' && instance !== null
    const prototype: unknown = made ? Object.getPrototypeOf(instance) : metatype?.prototype
    if (typeof prototype !== 'object' || prototype === null) continue
    const own = scanner.getAllMethodNames(prototype).map((name) => {
      const method = (prototype as Record<string, object>)[name] as object
      return { prototype, name, method, instance: made ? (instance as object) : null }
    })
    methods.set(made ? (instance as object) : prototype, own)
  }
  return [...methods.values()].flat()
}

/**
 * No handler is left unprotected by omission.
 * @throws {KestConfigError} naming each handler about which nothing was said, or what cannot be
 */
export function assertDeclared(modules: ModulesContainer): void {
  const faults = methodsOf(modules).flatMap((method) => {
    const fault = faultOf(method)
    return fault === null ? [] : [`${nameOf(method.prototype, method.name)}: ${fault}`]
  })
  if (faults.length > 0) throw new KestConfigError(`KestModule: ${[...new Set(faults)].join('; ')}`)
}

function faultOf({ method, name, instance }: DiscoveredMethod): string | null {
  const kind = kindOf(method)
  const mark = markOf(method)
  if (kind === null)
    return mark === 'protected' ? '@Protect() stands on what is no handler; use kest.verified() there' : null
  if (mark === undefined) {
    return isCovered(kind)
      ? 'it has neither @Protect() nor @Open()'
      : 'Kest does not cover messages and subscriptions: say so by @Open()'
  }
  if (mark === 'protected' && !isCovered(kind))
    return '@Protect() does not cover messages and subscriptions: they come with no request of HTTP'
  // Nest routes to what the instance has, while its decorators are on the class.
  if (instance !== null && Object.hasOwn(instance, name))
    return 'the instance has another function in its place, which nothing was said about'
  return null
}
