import { KestConfigError } from '@kest/core'

/**
 * A variable of the environment as OpenTelemetry writes lists: `key=value`, comma-separated, percent-encoded. What is
 * not set is empty.
 *
 * @throws {KestConfigError} for anything else: a mistake must not lead to a part of the list
 */
export function keyValuesOf(name: string, env: NodeJS.ProcessEnv): Record<string, string> {
  const pairs: [string, string][] = []
  for (const item of (env[name] ?? '').split(',')) {
    if (item.trim() === '') continue
    const equals = item.indexOf('=')
    const key = decoded(item.slice(0, Math.max(0, equals)))
    const value = decoded(item.slice(equals + 1))
    if (equals < 1 || !key || value === null) {
      throw new KestConfigError(`${name}: expected key=value, comma-separated, percent-encoded`)
    }
    pairs.push([key, value])
  }
  return Object.fromEntries(pairs)
}

/** Some generators quote values; OpenTelemetry takes the quotes off. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.trim().replace(/^"(.*)"$/, '$1'))
  } catch {
    return null
  }
}
