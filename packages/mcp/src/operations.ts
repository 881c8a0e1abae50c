import { KestConfigError, OperationDefinition, type Policies, type RouteOperationOptions } from '@kest/core'

/** The policies of what is to be decided, or what gives them. */
export type PolicyOf<Arg> = Policies | ((of: Arg) => Policies | undefined)

/** What else its operation is. */
export type ValuesOf<Arg> = Omit<RouteOperationOptions<[of: Arg]>, 'policy' | 'inputHash'>

type Options = ConstructorParameters<typeof OperationDefinition>[0]

/** The operations of requests: their names are the callers', so none is kept. */
export class Operations<Arg> {
  readonly #policy: PolicyOf<Arg>
  readonly #values: ValuesOf<Arg>

  /** @throws {KestConfigError} for options that are missing, unknown or wrong; `where` says whose they are */
  constructor(where: string, policy: PolicyOf<Arg>, values: ValuesOf<Arg>) {
    const own = ['operation', 'policy', 'inputHash'].find((name) => Object.hasOwn(values, name))
    if (own !== undefined) throw new KestConfigError(`${where}: unknown option "${own}"`)
    this.#policy = policy
    this.#values = { ...values }
    // What is wrong shows now, not at the first request.
    this.#define(where, typeof policy === 'function' ? 'any' : policy, {})
  }

  /** @throws {KestConfigError} where the function gives no policy, or a wrong one */
  define(
    operation: string,
    of: Arg,
    more: { readonly inputHash: string; readonly origin?: string },
  ): OperationDefinition {
    const policy = typeof this.#policy === 'function' ? this.#policy(of) : this.#policy
    if (policy === undefined) throw new KestConfigError(`${operation}: the function gave no policy`)
    return this.#define(operation, policy, more)
  }

  #define(operation: string, policy: Policies, more: object): OperationDefinition {
    return new OperationDefinition({ ...more, ...this.#values, operation, policy } as unknown as Options)
  }
}
