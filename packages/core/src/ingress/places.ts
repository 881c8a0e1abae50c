import { KestError } from '../errors.js'
import { areStatedTips } from '../passport/stated-tips.js'
import type { VerifiedPassport } from '../passport/verified-passport.js'
import { assertLines, readMembers } from '../propagation/baggage.js'
import { BAGGAGE_HEADER } from '../propagation/baggage-names.js'
import { IDENTITY_PARTS } from '../trust/identity-authorities.js'
import type { InboundHeaders, InboundRequest } from './listener.js'
import { takeMembersOut } from './take-lineage-out.js'
import type { BaggageIdentity } from './who-acts.js'

/** All places where a request can bring lineage (K-CARRIER): its headers, and what it was said to have beside them. */
export function placesOf({
  headers,
  also = [],
}: Pick<InboundRequest, 'headers' | 'also'>): readonly InboundHeaders[] {
  return [headers, ...also]
}

/**
 * Takes the lineage out of all places, and answers with what each of those brought that brought any.
 *
 * @param maxLength characters of the lines of one place
 * @throws {KestError} `ERR_KEST_BAGGAGE`, `ERR_KEST_LIMIT`: by then nothing is left anywhere
 */
export function takeFromPlaces(
  request: Pick<InboundRequest, 'headers' | 'also'>,
  maxLength: number,
): readonly ReadonlyMap<string, string>[] {
  const taken = placesOf(request).map((headers) => {
    const lines = headers[BAGGAGE_HEADER]
    return { lines, members: takeMembersOut(headers) }
  })
  for (const { lines } of taken) assertLines(lines, maxLength)
  return taken.filter(({ members }) => members.length > 0).map(({ members }) => readMembers(members))
}

/** @throws {KestError} `ERR_KEST_TIP` where two places bring lineage that does not end alike */
export function assertSameLineage(one: VerifiedPassport, other: VerifiedPassport): void {
  const [tips, others] = [one, other].map((passport) => passport.tips.map(({ hash }) => hash))
  if (areStatedTips(tips as string[], others as string[])) return
  throw new KestError('ERR_KEST_TIP', 'two places of one request bring lineage with other tips (K-CARRIER)')
}

/**
 * Who acts by the unsigned members of two places.
 * @throws {KestError} `ERR_KEST_IDENTITY_CONFLICT` where they name different ones
 */
export function sameNames(one: BaggageIdentity, other: BaggageIdentity): BaggageIdentity {
  for (const part of IDENTITY_PARTS) {
    if (one[part] === undefined || other[part] === undefined || one[part] === other[part]) continue
    throw new KestError(
      'ERR_KEST_IDENTITY_CONFLICT',
      `two places of one request name different ${part}s (K-CARRIER)`,
    )
  }
  return { ...one, ...other }
}
