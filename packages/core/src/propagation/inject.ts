import { types } from 'node:util'
import { KestConfigError } from '../errors.js'
import type { MaybePromise } from '../maybe-promise.js'
import { formatBaggage, stripKest } from './baggage.js'
import { BAGGAGE_HEADER } from './baggage-names.js'
import {
  type HeaderValue,
  type InjectableHeaders,
  isHeadersLike,
  isNamed,
  pairsOf,
  valuesOf,
} from './headers.js'

/** The `baggage` of headers of some form. */
interface Place {
  readonly lines: readonly string[]
  /** Sets, replaces or removes it, whichever way its name was written. */
  put(value: string | undefined): void
}

/**
 * Sets, replaces or removes the one `baggage` header, whichever way its name was written.
 *
 * @param write is given the lines that are there, and answers what is to be
 * @throws {KestConfigError} for headers of another form; {@link KestError} `ERR_KEST_BAGGAGE` when there is one that is no text
 */
export async function injectBaggage<H extends InjectableHeaders>(
  headers: H,
  write: (lines: readonly string[]) => MaybePromise<string | undefined>,
): Promise<H> {
  const place = placeIn(headers)
  place.put(await write(place.lines))
  return headers
}

/**
 * Takes the `kest.*` members, however spelled, out of headers of any form, and leaves everything else as it is: for who hands
 * on what he has read (K-SCOPE).
 *
 * @returns the same headers
 * @throws {KestConfigError} for headers of another form; {@link KestError} `ERR_KEST_BAGGAGE` when there is one that is no text
 */
export function stripHeaders<H extends InjectableHeaders>(headers: H): H {
  if (Array.isArray(headers) && headers.length === 0) return headers
  const place = placeIn(headers)
  const { foreign, removed } = stripKest(place.lines)
  if (removed > 0) place.put(formatBaggage(foreign, []))
  return headers
}

function placeIn(headers: InjectableHeaders): Place {
  const ours = pairsOf('inject', headers, [BAGGAGE_HEADER]).filter((pair) => isNamed(pair, BAGGAGE_HEADER))
  const lines = valuesOf(ours, BAGGAGE_HEADER)
  const names = ours.map(([name]) => name as string)
  if (isHeadersLike(headers) || types.isMap(headers)) {
    return {
      lines,
      put(value) {
        // First, also where there is none to be seen: axios keeps what was switched off.
        for (const name of [...names, BAGGAGE_HEADER]) headers.delete(name)
        if (value !== undefined) headers.set(BAGGAGE_HEADER, value)
      },
    }
  }
  if (Array.isArray(headers)) {
    if (headers.length === 0)
      throw new KestConfigError('inject: headers: an empty list is of no form: give an object')
    return { lines, put: (value) => putIntoList(headers, value) }
  }
  if (Symbol.iterator in headers)
    throw new KestConfigError('inject: headers: what can only be listed can carry no passport')
  const record: Record<string, HeaderValue> = headers
  return {
    lines,
    put(value) {
      for (const name of names) delete record[name]
      if (value !== undefined) record[BAGGAGE_HEADER] = value
    },
  }
}

/** Pairs, or names and values by turns. */
function putIntoList(list: unknown[], value: string | undefined): void {
  const ofPairs = Array.isArray(list[0])
  const step = ofPairs ? 1 : 2
  for (let at = list.length - step; at >= 0; at -= step) {
    const name = ofPairs ? (list[at] as unknown[])[0] : list[at]
    if (isNamed([name, undefined], BAGGAGE_HEADER)) list.splice(at, step)
  }
  if (value === undefined) return
  if (ofPairs) list.push([BAGGAGE_HEADER, value])
  else list.push(BAGGAGE_HEADER, value)
}
