import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { Lineage } from '../passport/lineage.js'
import type { IdentityContext } from '../passport/verified.js'
import { type EncodedMember, formatBaggage } from './baggage.js'
import type { ResolvedPropagation } from './options.js'
import { type EncodedLineage, encodeMembers } from './tiers.js'

/** A header, and how the passport travels in it. */
export interface WrittenBaggage extends Pick<EncodedLineage, 'tier' | 'share'> {
  /** `undefined`: there is nothing to send. */
  readonly header: string | undefined
}

/**
 * The whole value of a `baggage` header: the lineage and who acts in it, and the members of others.
 *
 * @param foreign members of others, as {@link stripKest} hands them out
 * @param token the sender's token for this dispatch (K-HOP) or message (K-MESSAGE); none by default
 * @param receipt what names the dispatch (K-RECEIPT); none by default
 * @throws {KestError} what {@link encodeMembers} throws; the request must not be sent then
 */
export function writeBaggage(
  lineage: Lineage,
  foreign: readonly string[],
  options: ResolvedPropagation,
  token?: EncodedMember,
  receipt?: EncodedMember,
): MaybePromise<WrittenBaggage> {
  const foreignLength = formatBaggage(foreign, [])?.length ?? 0
  const beside = { foreignLength, identity: agreedIdentity(lineage), token, receipt }
  const encoded = encodeMembers(lineage, beside, options)
  const format = ({ members, tier, share }: EncodedLineage): WrittenBaggage => ({
    header: formatBaggage(foreign, members),
    tier,
    share,
  })
  return isPromise(encoded) ? encoded.then(format) : format(encoded)
}

/**
 * Who acts, if all tips say the same: receivers compare it with the signed tips (K-IDENT), so nothing else may be
 * written beside them.
 */
function agreedIdentity({ tips }: Lineage): IdentityContext | null {
  const identity = tips[0]?.identity ?? null
  const same = (other: IdentityContext | null): boolean =>
    other?.user === identity?.user && other?.agent === identity?.agent && other?.task === identity?.task
  return tips.every((tip) => same(tip.identity)) ? identity : null
}
