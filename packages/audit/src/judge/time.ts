import type { ExportedSpan } from '../span/exported-span.js'
import type { JudgeRules } from './options.js'

/** Clocks differ by so much (K-TIME). */
export const CLOCK_SKEW_MS = 60_000

/**
 * K-TIME: the time of an entry is its signer's word, which whoever received the span bounds on both sides. Where nobody
 * did, it is at least not later than the audit.
 *
 * @param stated by the entry, milliseconds since the epoch
 * @returns what is wrong; `null` when nothing is
 */
export function timeFinding(
  { receivedAt }: ExportedSpan,
  stated: number,
  { maxDelayMs, now }: JudgeRules,
): string | null {
  const latest = receivedAt ?? now
  if (stated > latest + CLOCK_SKEW_MS) {
    const when = receivedAt === null ? 'this audit' : 'its span was received'
    return `it states a time ${seconds(stated - latest)} after ${when}`
  }
  if (receivedAt !== null && stated < receivedAt - maxDelayMs) {
    return `it states a time ${seconds(receivedAt - stated)} before its span was received`
  }
  return null
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`
}
