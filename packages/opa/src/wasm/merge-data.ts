import { type JsonObject, type JsonValue, KestConfigError } from '@kest/core'

/**
 * One document of two. Objects are merged; where the two differ in anything else, the second counts.
 *
 * @throws {KestConfigError} for a member `__proto__`
 */
export function mergeData(first: JsonObject, second: JsonObject): JsonObject {
  const merged = new Map<string, JsonValue>(Object.entries(first))
  for (const [name, value] of Object.entries(second)) {
    if (name === '__proto__') throw new KestConfigError('data: a member may not be called "__proto__"')
    const before = merged.get(name)
    merged.set(name, isObject(before) && isObject(value) ? mergeData(before, value) : value)
  }
  return Object.fromEntries(merged)
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
