import type { InContext } from '@kest/core'

type Method = (...args: unknown[]) => unknown

/** What is done around methods of a handler: by their names, made of the method itself. */
export type Around = Readonly<Record<string, (method: Method) => Method>>

/** Methods that hand a connection over, and which of their arguments it is: undici's first generation, its second. */
const HANDS_OVER: ReadonlyMap<PropertyKey, number> = new Map([
  ['onUpgrade', 2],
  ['onRequestUpgrade', 3],
])

/**
 * A handler whose methods run in the context of its own dispatch (K-AMBIENT).
 *
 * undici calls them in the context of whoever opened the connection that the answer comes on. What they begin would act
 * for that one: a retry or a redirect that is dispatched from there, a listener of the response that makes a call.
 *
 * In all else it is the handler that was given: undici tells generations and abilities of a handler by the methods that
 * it has, and those are called on itself, wherever it has them from.
 *
 * @param around what is done around its methods, before they enter that context: the last is the outermost
 */
export function inOwnContext<Handler extends object>(
  handler: Handler,
  own: InContext,
  around: readonly Around[] = [],
): Handler {
  // The target is empty, since a proxy may not answer otherwise than a frozen target does.
  return new Proxy({} as Handler, new InOwnContext(handler, own, around))
}

/** One for each dispatch: its methods are compiled once. */
class InOwnContext<Handler extends object> implements ProxyHandler<Handler> {
  readonly #handler: Handler
  readonly #own: InContext
  readonly #around: readonly Around[]

  constructor(handler: Handler, own: InContext, around: readonly Around[]) {
    this.#handler = handler
    this.#own = own
    this.#around = around
  }

  get(_: Handler, key: PropertyKey): unknown {
    const method: unknown = Reflect.get(this.#handler, key)
    if (typeof method !== 'function') return method
    let made = this.#bound(method as Method, HANDS_OVER.get(key))
    for (const around of this.#around)
      if (Object.hasOwn(around, key)) made = (around[key as string] as (method: Method) => Method)(made)
    return made
  }

  set(_: Handler, key: PropertyKey, value: unknown): boolean {
    return Reflect.set(this.#handler, key, value)
  }

  has(_: Handler, key: PropertyKey): boolean {
    return Reflect.has(this.#handler, key)
  }

  getPrototypeOf(): object | null {
    return Reflect.getPrototypeOf(this.#handler)
  }

  #bound(method: Method, connection: number | undefined): Method {
    const handler = this.#handler
    const own = this.#own
    return (...args) => {
      // It is this dispatch's from here on, and its events would still be those of whoever opened it.
      if (connection !== undefined) bindMethods(args[connection], ['emit'], own)
      return own(() => Reflect.apply(method, handler, args))
    }
  }
}

/**
 * A request's body whose code runs in the context of its own dispatch: undici reads streams and iterables when the
 * connection is free, in the context of whoever had it before. Bodies that run no code are those that were given.
 */
export function bodyInOwnContext(body: unknown, own: InContext): unknown {
  if (typeof body !== 'object' || body === null || isData(body)) return body
  if (typeof Reflect.get(body, 'pipe') === 'function') {
    // Whatever reads a stream comes through the first, whatever gives it up through the second.
    bindMethods(body, ['read', 'destroy'], own)
    return body
  }
  for (const key of [Symbol.asyncIterator, Symbol.iterator] as const) {
    const begin: unknown = Reflect.get(body, key)
    if (typeof begin !== 'function') continue
    return {
      [key]: () =>
        inOwnContext(
          own(() => Reflect.apply(begin, body, []) as object),
          own,
        ),
    }
  }
  return body
}

function isData(body: object): boolean {
  if (ArrayBuffer.isView(body) || Array.isArray(body)) return true
  return ['ArrayBuffer', 'Blob', 'File', 'FormData'].includes(String(Reflect.get(body, Symbol.toStringTag)))
}

/** Others hold the object, and know it by its class: it stays what it is. */
function bindMethods(object: unknown, names: readonly string[], own: InContext): void {
  if (typeof object !== 'object' || object === null) return
  for (const name of names) {
    const method: unknown = Reflect.get(object, name)
    if (typeof method !== 'function') continue
    const value = (...args: unknown[]): unknown => own(() => Reflect.apply(method, object, args))
    Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false })
  }
}
