import type { Facts } from '@kest/audit'
import type { LogRecord } from '../log/log.js'

const FORMAT = 'kest-facts-1'
const KINDS = ['entry', 'denial'] as const
const HOW = ['exported', 'again', 'held'] as const
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const HASH = /^[0-9a-f]{64}$/
const CONTENT = /^[0-9a-f]{32}$/

/** As bytes: the names of principals once, and no name of a member. */
export function encodeFacts({ numbers, ids, firsts, seen }: Facts): Buffer {
  const principals = new Map<string, number>()
  const indexOf = (name: string): number => {
    const known = principals.get(name)
    if (known !== undefined) return known
    principals.set(name, principals.size)
    return principals.size - 1
  }
  const rows = {
    format: FORMAT,
    numbers: numbers.map(({ what, process, number, principal, timestampMs, hash, how }) => [
      KINDS.indexOf(what),
      process,
      number,
      indexOf(principal),
      timestampMs,
      hash,
      HOW.indexOf(how),
    ]),
    ids: ids.map(({ entryId, content, hash }) => [entryId, content, hash]),
    firsts: firsts.map(({ what, principal, timestampMs }) => [
      KINDS.indexOf(what),
      indexOf(principal),
      timestampMs,
    ]),
    seen: seen.map(({ principal, timestampMs }) => [indexOf(principal), timestampMs]),
  }
  return Buffer.from(JSON.stringify({ ...rows, principals: [...principals.keys()] }))
}

/** What was written so; `null` for what was not: others may write into the topic. */
export function decodeFacts({ value }: Pick<LogRecord, 'value'>): Facts | null {
  try {
    const rows = JSON.parse((value ?? Buffer.alloc(0)).toString('utf8')) as Readonly<Record<string, unknown>>
    if (rows['format'] !== FORMAT) return null
    const { principals, numbers, ids, firsts, seen } = rows as Record<string, unknown[][]>
    const nameOf = (index: unknown): string => textOf((principals as unknown[])[index as number])
    return {
      numbers: listOf(numbers).map(([what, process, number, principal, timestampMs, hash, how]) => ({
        what: oneOf(KINDS, what),
        process: textOf(process, UUID),
        number: integerOf(number, 1),
        principal: nameOf(principal),
        timestampMs: integerOf(timestampMs),
        hash: textOf(hash, HASH),
        how: oneOf(HOW, how),
      })),
      ids: listOf(ids).map(([entryId, content, hash]) => ({
        entryId: textOf(entryId, UUID),
        content: textOf(content, CONTENT),
        hash: textOf(hash, HASH),
      })),
      firsts: listOf(firsts).map(([what, principal, timestampMs]) => ({
        what: oneOf(KINDS, what),
        principal: nameOf(principal),
        timestampMs: integerOf(timestampMs),
      })),
      seen: listOf(seen).map(([principal, timestampMs]) => ({
        principal: nameOf(principal),
        timestampMs: integerOf(timestampMs),
      })),
    }
  } catch {
    return null
  }
}

function listOf(value: unknown): unknown[][] {
  if (Array.isArray(value) && value.every(Array.isArray)) return value
  throw new TypeError('expected rows')
}

function oneOf<T>(values: readonly T[], index: unknown): T {
  const value = values[integerOf(index)]
  if (value === undefined) throw new TypeError('expected another number')
  return value
}

function textOf(value: unknown, form = /^/): string {
  if (typeof value === 'string' && form.test(value)) return value
  throw new TypeError('expected another text')
}

function integerOf(value: unknown, least = 0): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number
  throw new TypeError('expected an integer')
}
