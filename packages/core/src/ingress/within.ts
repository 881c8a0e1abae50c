import type { KestState } from '../context/state.js'
import { KestError } from '../errors.js'
import { areStatedTips } from '../passport/stated-tips.js'
import { assertLines, assertText, readMembers } from '../propagation/baggage.js'
import { BAGGAGE_HEADER, MEMBER } from '../propagation/baggage-names.js'
import { parseTip } from '../propagation/restore.js'
import type { InboundRequest, ListenerDeps } from './listener.js'
import { reportStripped } from './reported.js'
import { takeMembersOut } from './take-lineage-out.js'

/**
 * What a carrier brings within a request that was judged already: nothing that was not there before (K-CARRIER).
 * @param edge its origin, where the carrier's listener takes no lineage
 */
export function takeWithin(
  state: KestState,
  { headers, about }: Pick<InboundRequest, 'headers' | 'about'>,
  deps: ListenerDeps,
  edge: string | null,
): void {
  const lines = headers[BAGGAGE_HEADER]
  assertText(lines)
  const members = takeMembersOut(headers)
  if (members.length === 0) return
  const begun = state.origin ?? edge
  if (begun !== null) {
    reportStripped(members.length, begun, about, deps)
    return
  }
  assertLines(lines, deps.propagation.maxInboundLength)
  const stated = parseTip(readMembers(members).get(MEMBER.chainTip))
  const brought = state.frame.brought.tips.map(({ hash }) => hash)
  if (stated !== null && areStatedTips(brought, stated)) return
  throw new KestError(
    'ERR_KEST_TIP',
    'two places of a request bring lineage, and their tips are not the same (K-CARRIER)',
  )
}
