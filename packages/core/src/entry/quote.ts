import { KestError } from '../errors.js'

/** ASCII that JSON writes as it is. Most strings are nothing else. */
const PLAIN = /^[ !#-[\]-~]*$/
/** A surrogate that is not half of a pair. */
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * A string as RFC 8785 writes it (§3.2.2.2), which is as `JSON.stringify` does, save for one thing.
 * @throws {KestError} `ERR_KEST_NOT_JSON` for a lone surrogate, which JSON.stringify would write as an escape
 */
export function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : stringify(text)
}

/** What stands between the quotes of {@link quote}: for texts that are put together of many strings. */
export function escaped(text: string): string {
  return PLAIN.test(text) ? text : stringify(text).slice(1, -1)
}

function stringify(text: string): string {
  const json = JSON.stringify(text)
  if (json.includes('\\ud') && LONE_SURROGATE.test(text)) {
    throw new KestError(
      'ERR_KEST_NOT_JSON',
      'a value cannot be written as RFC 8785 JSON: a lone surrogate is no text',
    )
  }
  return json
}
