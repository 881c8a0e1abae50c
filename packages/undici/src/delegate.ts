import type { DispatchHandler } from './dispatcher.js'

/**
 * A handler that is the given one, but for these methods, as far as it has them. Everything else is looked up on it, and
 * called on it.
 */
export function replacing<Handler extends object>(handler: Handler, methods: DispatchHandler): Handler {
  // The target is empty, since a proxy may not answer otherwise than a frozen target does.
  return new Proxy(Object.create(handler) as Handler, {
    get(_, key) {
      const value: unknown = Reflect.get(handler, key)
      if (typeof value !== 'function') return value
      return Object.hasOwn(methods, key) ? methods[key as keyof DispatchHandler] : value.bind(handler)
    },
    set: (_, key, value) => Reflect.set(handler, key, value),
  })
}
