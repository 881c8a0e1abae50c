import type { InContext } from '@kest/core'

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
 */
export function inOwnContext<Handler extends object>(handler: Handler, own: InContext): Handler {
  // The target is empty, since a proxy may not answer otherwise than a frozen target does.
  return new Proxy(Object.create(handler) as Handler, {
    get(_, key) {
      const method: unknown = Reflect.get(handler, key)
      if (typeof method !== 'function') return method
      const connection = HANDS_OVER.get(key)
      return (...args: unknown[]): unknown => {
        // It is this dispatch's from here on, and its events would still be those of whoever opened it.
        if (connection !== undefined) bindMethods(args[connection], ['emit'], own)
        return own(() => Reflect.apply(method, handler, args))
      }
    },
    set: (_, key, value) => Reflect.set(handler, key, value),
  })
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
