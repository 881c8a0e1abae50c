import type { KestState } from '../context/state.js'
import { KestConfigError, KestError } from '../errors.js'

/**
 * What happens to a request that follows a redirect and would carry a passport. Whoever answers a redirect chooses who is
 * called next, with which path and body, in the name of the one who follows; for a receiver it is a call like any other.
 */
export type Redirects = 'follow' | 'refuse'

/** @throws {KestConfigError} when it is neither */
export function parseRedirects(value: unknown): Redirects {
  if (value === undefined) return 'refuse'
  if (value === 'follow' || value === 'refuse') return value
  throw new KestConfigError(
    `redirects: expected "follow" or "refuse", got ${JSON.stringify(value) ?? typeof value}`,
  )
}

/** 304 has no other place; whoever follows differs about 300. */
export function isRedirect(status: unknown): boolean {
  return typeof status === 'number' && status >= 300 && status < 400 && status !== 304
}

/** @throws {KestError} `ERR_KEST_OUTBOUND`, always */
export function refuseRedirect(url: URL): never {
  throw new KestError(
    'ERR_KEST_OUTBOUND',
    `a redirect to ${url.origin} would be followed with a passport: take the 3xx as the answer, or say redirects: "follow"`,
  )
}

/** Places that a state keeps in mind: clients follow at once, so that what is older was not followed. */
const MOST_PLACES = 1000

/**
 * Where the answers to a client's requests have pointed, by the state that those were made in. For clients that follow by
 * themselves and do not say so: the first request in the same state to such a place follows a redirect. Of a state that
 * goes on for long the last thousand places are known.
 */
export class RedirectsSeen {
  readonly #pointedTo = new WeakMap<KestState, Set<string>>()

  /** @param locations as they stand in the answer; clients take one whose bytes are UTF-8 for that */
  note(state: KestState, from: URL, locations: readonly string[]): void {
    const known = this.#pointedTo.get(state) ?? new Set<string>()
    this.#pointedTo.set(state, known)
    for (const location of locations.flatMap((text) => [text, Buffer.from(text, 'latin1').toString()])) {
      if (!URL.canParse(location, from.href)) continue
      const { origin, pathname, search } = new URL(location, from)
      const place = origin + pathname + search
      known.delete(place)
      known.add(place)
    }
    for (const place of known) {
      if (known.size <= MOST_PLACES) break
      known.delete(place)
    }
  }

  /** Whether a request follows a redirect; asked once for each. */
  take(state: KestState, { origin, pathname, search }: URL): boolean {
    return this.#pointedTo.get(state)?.delete(origin + pathname + search) === true
  }
}
