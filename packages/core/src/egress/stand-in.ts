/**
 * An object that is the given one, but for these members: everything else is read from it, and written to it. As methods run
 * on what stands in, those that reach for private members are given bound ({@link boundMethods}).
 */
export function standIn<T extends object>(object: T, own: Readonly<Record<PropertyKey, unknown>>): T {
  // The target is empty, since a proxy may not answer otherwise than a frozen target does.
  return new Proxy(Object.create(object) as T, {
    get: (_, key) => (Object.hasOwn(own, key) ? own[key] : Reflect.get(object, key)),
    set: (_, key, value) => Reflect.set(object, key, value),
  })
}

/** Methods of an object, as far as it has them, that run on itself. */
export function boundMethods(object: object, names: readonly string[]): Record<string, unknown> {
  const methods: Record<string, unknown> = {}
  for (const name of names) {
    const method: unknown = Reflect.get(object, name)
    if (typeof method === 'function') methods[name] = method.bind(object)
  }
  return methods
}
