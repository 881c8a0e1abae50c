import { Unreadable } from './unreadable.js'

export type Members = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @throws {Unreadable} */
export function assertObject(value: unknown, what: string): Members {
  if (isObject(value)) return value
  throw new Unreadable(`expected ${what}, got ${value === null ? 'null' : typeof value}`)
}

/** @throws {Unreadable} for a member that is not known */
export function assertMembers(one: Members, known: readonly string[], what: string): void {
  for (const name of Object.keys(one)) {
    if (!known.includes(name))
      throw new Unreadable(`${what} has a member "${name.slice(0, 64)}", which is not read`)
  }
}

/** What is left out is empty; what is something else is no export, rather than nothing. @throws {Unreadable} */
export function listOf(one: Members, name: string): readonly unknown[] {
  const value = one[name]
  if (value === undefined) return []
  if (Array.isArray(value)) return value
  throw new Unreadable(`its ${name} are no list`)
}
