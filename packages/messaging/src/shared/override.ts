/**
 * An object that is the given one, but for these members. Everything else is read from it and runs on it, so that what its class
 * keeps private works.
 */
export function override<T extends object>(object: T, own: Readonly<Record<PropertyKey, unknown>>): T {
  const bound = new Map<PropertyKey, { readonly method: unknown; readonly ours: unknown }>()
  // The target is empty, since a proxy may not answer otherwise than a frozen target does.
  return new Proxy(Object.create(object) as T, {
    get: (_, key) => {
      if (Object.hasOwn(own, key)) return own[key]
      const value: unknown = Reflect.get(object, key)
      if (typeof value !== 'function' || key === 'constructor') return value
      const known = bound.get(key)
      if (known?.method === value) return known.ours
      const ours: unknown = value.bind(object)
      bound.set(key, { method: value, ours })
      return ours
    },
    set: (_, key, value) => Reflect.set(object, key, value),
  })
}
