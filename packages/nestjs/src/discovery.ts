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
  return wrappers.flatMap(({ instance, metatype }) => {
    const made = typeof instance === 'object' && instance !== null ? (instance as object) : null
    const prototype: unknown = made === null ? metatype?.prototype : Object.getPrototypeOf(made)
    if (typeof prototype !== 'object' || prototype === null) return []
    const methods = prototype as Record<string, object>
    return scanner
      .getAllMethodNames(prototype)
      .map((name) => ({ prototype, name, method: methods[name] as object, instance: made }))
  })
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

function faultOf({ prototype, method, name, instance }: DiscoveredMethod): string | null {
  const kind = kindOf(method, prototype.constructor)
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
