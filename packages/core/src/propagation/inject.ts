import type { KestState } from '../context/state.js'
import { BAGGAGE_HEADER } from './baggage-names.js'
import { assertHeaderRecord, type HeaderRecord, isHeaders } from './headers.js'
import type { Outbound } from './outbound.js'

/** Headers that a passport can be put on. */
export type InjectableHeaders = Headers | HeaderRecord

/**
 * Sets, replaces or removes the one `baggage` header, whichever way its name was written.
 * @throws {KestConfigError} for headers of another form
 */
export async function injectBaggage<H extends InjectableHeaders>(
  outbound: Outbound,
  headers: H,
  url: URL,
  state?: KestState,
): Promise<H> {
  if (isHeaders(headers)) {
    const value = await outbound.baggage(headers.get(BAGGAGE_HEADER) ?? undefined, url, state)
    if (value === undefined) headers.delete(BAGGAGE_HEADER)
    else headers.set(BAGGAGE_HEADER, value)
    return headers
  }
  assertHeaderRecord('inject', headers)
  const record: HeaderRecord = headers
  const spellings = Object.keys(record).filter((name) => name.toLowerCase() === BAGGAGE_HEADER)
  const value = await outbound.baggage(
    spellings.flatMap((name) => record[name] ?? []),
    url,
    state,
  )
  for (const name of spellings) delete record[name]
  if (value !== undefined) record[BAGGAGE_HEADER] = value
  return headers
}
