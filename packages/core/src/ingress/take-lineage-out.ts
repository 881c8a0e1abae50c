import { formatBaggage, stripKest } from '../propagation/baggage.js'
import { BAGGAGE_HEADER } from '../propagation/baggage-names.js'
import type { InboundHeaders } from './listener.js'

/**
 * Takes the `kest.*` members, however spelled, out of a request's `baggage`: who reads it behind us, a proxy that forwards
 * it or instrumentation, would send them to strangers. Listeners do it by themselves; this is for requests that no
 * listener judges. Members of others stay exactly as they are.
 *
 * @returns how many there were
 */
export function takeLineageOut(headers: InboundHeaders): number {
  const { foreign, removed } = stripKest(headers[BAGGAGE_HEADER])
  if (removed === 0) return 0
  const rest = formatBaggage(foreign, [])
  if (rest === undefined) delete headers[BAGGAGE_HEADER]
  else headers[BAGGAGE_HEADER] = rest
  return removed
}
