import type { KestState } from '../context/state.js'
import { KestConfigError } from '../errors.js'
import type { BeginOptions } from './begin.js'
import type { Operation } from './operation.js'
import { OperationDefinition } from './operation-definition.js'
import type { OperationOptions } from './operation-options.js'

/** The same call, always answering a promise. */
export interface VerifiedFunction<This, Args extends unknown[], Result> {
  (this: This, ...args: Args): Promise<Awaited<Result>>
  /**
   * The same function, beginning from this state instead of the ambient one, whoever calls it (K-STATE); `null` is none.
   *
   * @example
   * ```ts
   * await queue.add(() => charge.with(request.kest.state)(order))
   * ```
   */
  with(state: KestState | null): (this: This, ...args: Args) => Promise<Awaited<Result>>
}

/** Wraps a function, or decorates a class method (standard decorators; the method must answer a promise). */
export type VerifiedDecorator<Args extends unknown[]> = <This, Own extends Args, Result>(
  fn: (this: This, ...args: Own) => Result,
  context?: ClassMethodDecoratorContext,
) => VerifiedFunction<This, Own, Result>

/** How generators are told apart before they are called. */
const GENERATORS: ReadonlySet<unknown> = new Set([
  Object.getPrototypeOf(function* () {}),
  Object.getPrototypeOf(async function* () {}),
])

/** Legacy decorators are given a class as standard ones are given a function. */
const CLASS = /^class\b/

/** Begins operations: an instance. */
export interface OperationSource {
  begin(definition: OperationDefinition, options: BeginOptions): Promise<Operation>
}

/**
 * The hook around functions. `source` is asked at each call, so that a function may be wrapped before Kest is
 * configured.
 *
 * @throws {KestConfigError} for options that are missing or wrong, and where it decorates, by a compiler that is set to legacy decorators.
 */
export function verifiedWith<Args extends unknown[]>(
  source: () => OperationSource,
  options: OperationOptions<Args>,
): VerifiedDecorator<Args> {
  const definition = new OperationDefinition(options)
  return <This, Own extends Args, Result>(
    fn: (this: This, ...args: Own) => Result,
    context?: ClassMethodDecoratorContext,
  ): VerifiedFunction<This, Own, Result> => {
    assertWrappable(fn, context, definition.operation)
    const from = (surroundings: Pick<BeginOptions, 'state'>) => {
      const wrapped = async function (this: This, ...args: Own): Promise<Awaited<Result>> {
        const operation = await source().begin(definition, { ...surroundings, args })
        return operation.run(() => fn.apply(this, args))
      }
      return Object.defineProperty(wrapped, 'name', { value: fn.name, configurable: true })
    }
    return Object.assign(from({}), {
      with(state: KestState | null) {
        // It would mean the ambient one, which is what was not wanted.
        if (state === undefined)
          throw new TypeError(`verified("${definition.operation}").with: expected a state`)
        return from({ state })
      },
    })
  }
}

function assertWrappable(fn: unknown, context: unknown, operation: string): void {
  const where = `verified("${operation}")`
  if (typeof context === 'string' || typeof context === 'symbol') {
    throw new KestConfigError(
      `${where}: ${String(context)} is decorated in the legacy way, and would not be protected: take experimentalDecorators out of ` +
        'tsconfig.json (of swc, set decoratorVersion to "2022-03"), or wrap the function: verified(options, fn)',
    )
  }
  if (typeof fn !== 'function') throw new TypeError(`${where}: expected a function, got ${typeof fn}`)
  const kind = (context as ClassMethodDecoratorContext | undefined)?.kind
  if (kind !== undefined && kind !== 'method') throw new TypeError(`${where}: cannot protect a ${kind}`)
  if (CLASS.test(Function.prototype.toString.call(fn)))
    throw new TypeError(`${where}: cannot protect a class`)
  if (GENERATORS.has(Object.getPrototypeOf(fn))) {
    throw new TypeError(
      `${where}: a generator runs while it is consumed, not when it is called; protect the function that consumes it`,
    )
  }
}
