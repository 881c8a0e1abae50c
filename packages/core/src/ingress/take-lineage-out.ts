import { formatBaggage, splitBaggage } from '../propagation/baggage.js'
import { BAGGAGE_HEADER } from '../propagation/baggage-names.js'
import type { KestMember } from '../propagation/members.js'
import type { InboundHeaders } from './listener.js'

/**
 * Takes the `kest.*` members, however spelled, out of a request's `baggage`: who reads it behind us, a proxy that forwards
 * it or instrumentation, would send them to strangers. Listeners do it by themselves; this is for requests that no
 * listener judges. Members of others stay exactly as they are.
 *
 * @returns how many there were
 */
export function takeLineageOut(headers: InboundHeaders): number {
  return takeMembersOut(headers).length
}

/** As {@link takeLineageOut}; answers with what was taken, of which nothing was judged. */
export function takeMembersOut(headers: InboundHeaders): readonly KestMember[] {
  const { foreign, kest } = splitBaggage(headers[BAGGAGE_HEADER])
  if (kest.length === 0) return kest
  const rest = formatBaggage(foreign, [])
  if (rest === undefined) delete headers[BAGGAGE_HEADER]
  else headers[BAGGAGE_HEADER] = rest
  return kest
}
