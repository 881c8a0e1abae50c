import { BAGGAGE_HEADER } from './baggage-names.js'
import type { Outbound } from './outbound.js'

/** Headers that a passport can be put on. */
export type InjectableHeaders = Headers | Record<string, string | string[] | undefined>

/** Sets, replaces or removes the one `baggage` header, whichever way its name was written. */
export async function injectBaggage<H extends InjectableHeaders>(
  outbound: Outbound,
  headers: H,
  url: URL,
): Promise<H> {
  if (headers instanceof Headers) {
    const value = await outbound.baggage(headers.get(BAGGAGE_HEADER) ?? undefined, url)
    if (value === undefined) headers.delete(BAGGAGE_HEADER)
    else headers.set(BAGGAGE_HEADER, value)
    return headers
  }
  const record: Record<string, string | string[] | undefined> = headers
  const spellings = Object.keys(record).filter((name) => name.toLowerCase() === BAGGAGE_HEADER)
  const value = await outbound.baggage(
    spellings.flatMap((name) => record[name] ?? []),
    url,
  )
  for (const name of spellings) delete record[name]
  if (value !== undefined) record[BAGGAGE_HEADER] = value
  return headers
}
