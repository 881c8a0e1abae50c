import { METHODS } from 'node:http'
import { KestConfigError } from '../errors.js'
import { OperationDefinition } from '../hook/operation-definition.js'
import type { OperationOptions } from '../hook/operation-options.js'

/** What a route's operation is, beside its name. Values are given as such, or as a function of the framework's request. */
export type RouteOperationOptions<Args extends unknown[]> = Omit<OperationOptions<Args>, 'operation'>

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS)

/**
 * For adapters: name of the operation that a request runs, `GET /orders/:id`. Made of the route's pattern, never of the URL,
 * which holds ids: names must be few. A method that strangers may have invented is `_OTHER`.
 */
export function operationName(method: string | undefined, pattern: string): string {
  const known = method !== undefined && KNOWN_METHODS.has(method) ? method : '_OTHER'
  return `${known} ${pattern === '' ? '/' : pattern}`
}

/** For adapters: the operations of what is protected together, by their names; as many as it has methods and places. */
export class RouteOperations<Args extends unknown[]> {
  readonly #options: RouteOperationOptions<Args>
  readonly #byName = new Map<string, OperationDefinition>()

  /** @throws {KestConfigError} for options that are missing, unknown or wrong; `where` says whose they are */
  constructor(where: string, options: RouteOperationOptions<Args>) {
    if (Object.hasOwn(options ?? {}, 'operation'))
      throw new KestConfigError(`${where}: unknown option "operation"; routes have their own`)
    this.#options = { ...options }
    this.#define(where)
  }

  named(operation: string): OperationDefinition {
    let definition = this.#byName.get(operation)
    if (definition === undefined) {
      definition = this.#define(operation)
      this.#byName.set(operation, definition)
    }
    return definition
  }

  #define(operation: string): OperationDefinition {
    return new OperationDefinition({ ...this.#options, operation } as unknown as OperationOptions<never>)
  }
}
