/** What Cedar can hold: no null, and no number but whole ones. */
export type CedarValue =
  | boolean
  | number
  | string
  | readonly CedarValue[]
  | { readonly [name: string]: CedarValue }

/** A value that Cedar cannot hold. */
export class NotCedarError extends TypeError {
  constructor(path: string, what: string) {
    super(`${path}: ${what}`)
    this.name = 'NotCedarError'
  }
}

/** Parts of a value that are looked at: all, or members by name. */
export type Used = true | ReadonlyMap<string, Used>

/** In Cedar's JSON these make a record something else: a reference to an entity, say. */
const ESCAPES: readonly string[] = ['__entity', '__extn', '__expr']

/**
 * A value of JSON as Cedar has it. A member that is `null` is left out: `has` says that it is not there. Lists become
 * sets, which have neither order nor repetitions.
 *
 * @param path as errors call it
 * @param used what is wanted of it; the rest is left out
 * @throws {NotCedarError} for what Cedar does not have, rather than to change what a policy compares: a number that is not
 *   whole or not exact, `null` in a list, a record that would be read as a reference
 */
export function toCedar(value: unknown, path: string, used: Used = true): CedarValue {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return value
    throw new NotCedarError(path, `${value} is not a whole number, and Cedar has no others`)
  }
  if (Array.isArray(value)) return value.map((item, index) => toCedar(item, `${path}[${index}]`))
  if (typeof value === 'object' && value !== null) return toRecord(value, path, used)
  throw new NotCedarError(path, `Cedar has no ${value === null ? 'null' : typeof value}`)
}

function toRecord(value: object, path: string, used: Used): CedarValue {
  const record: [string, CedarValue][] = []
  for (const [name, member] of Object.entries(value)) {
    const wanted = used === true ? true : used.get(name)
    if (wanted === undefined || member === null || member === undefined) continue
    if (ESCAPES.includes(name)) throw new NotCedarError(path, `a member called ${name} means something else`)
    record.push([name, toCedar(member, `${path}.${name}`, wanted)])
  }
  return Object.fromEntries(record)
}
