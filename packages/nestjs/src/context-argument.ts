import { createParamDecorator, type ExecutionContext } from '@nestjs/common'

/** Where Nest keeps what its parameter decorators say, by a method of a class. */
const ARGUMENTS = '__routeArguments__'

/** In a function, which pipes that look into values leave alone. */
const contexts = new WeakMap<object, ExecutionContext>()

function give(_data: unknown, context: ExecutionContext): object {
  const given = () => undefined
  contexts.set(given, context)
  return given
}

const Context = createParamDecorator(give)

interface Argument {
  readonly index: number
  readonly factory?: unknown
}

/**
 * Has Nest give a method the context that it is called in, behind its own arguments. Not by what is ambient: interceptors may
 * run one request's work in another's context.
 *
 * @returns how many arguments of its own the method is given
 */
export function giveContext(target: object, key: string | symbol): number {
  const inherited = (Reflect.getMetadata(ARGUMENTS, target.constructor, key) ?? {}) as Record<
    string,
    Argument
  >
  // A method that this one overrides has had one, where this one may have an argument of its own.
  const own = Object.entries(inherited).filter(([, { factory }]) => factory !== give)
  Reflect.defineMetadata(ARGUMENTS, Object.fromEntries(own), target.constructor, key)
  const count = Math.max(0, ...own.map(([, { index }]) => index + 1))
  Context()(target, key, count)
  return count
}

/** `undefined` when the method was not called by Nest, or a pipe has changed what it was given. */
export function contextIn(args: readonly unknown[], count: number): ExecutionContext | undefined {
  const given = args[count]
  return typeof given === 'function' ? contexts.get(given) : undefined
}
