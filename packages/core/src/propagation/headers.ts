import { KestConfigError } from '../errors.js'

/** Headers by their names. */
export type HeaderRecord = Record<string, string | string[] | undefined>

/** Whether these are `Headers` of WHATWG, whoever's: those of undici are no instance of the global ones. */
export function isHeaders(headers: unknown): headers is Headers {
  return Object.prototype.toString.call(headers) === '[object Headers]'
}

/**
 * What is neither `Headers` nor an object of names would be read as having none, and written where nobody looks.
 * @throws {KestConfigError} for maps and lists of headers
 */
export function assertHeaderRecord(where: string, headers: unknown): asserts headers is HeaderRecord {
  if (typeof headers === 'object' && headers !== null && !(Symbol.iterator in headers)) return
  throw new KestConfigError(`${where}: headers: expected Headers, or an object of names and values`)
}

/** Headers as `node:http` gives them: names in lower case; what was there under two spellings, as a list. */
export function lowerCased(headers: HeaderRecord): HeaderRecord {
  const record: HeaderRecord = {}
  for (const [spelling, value] of Object.entries(headers)) {
    const name = spelling.toLowerCase()
    record[name] = Object.hasOwn(record, name) ? [record[name] ?? [], value ?? []].flat() : value
  }
  return record
}
