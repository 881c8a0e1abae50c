import { LABEL } from '../entry/entry.js'
import { type ParsedEntry, parseEntry } from '../entry/parse.js'
import { KestError } from '../errors.js'
import { isOutcome } from '../hook/outcome-entry.js'
import type { Limits } from '../limits.js'
import { isPromise } from '../maybe-promise.js'
import { bindKeys } from '../passport/bind-keys.js'
import { checkSignature } from '../passport/check-signatures.js'
import { assertLowS } from '../passport/link-entries.js'
import type { VerifiedEntry } from '../passport/verified.js'
import type { VerifyRules } from '../passport/verify-options.js'
import { shown } from '../shown.js'
import { MAX_RECEIPT_LENGTH } from './receipt-header.js'

/** The one dispatch that a receipt must be of. */
export interface Dispatched {
  readonly origin: string
  readonly nonce: string
  /** Who may sign for the origin. */
  readonly principals: ReadonlySet<string>
  /** The tips that were sent. */
  readonly tips: readonly VerifiedEntry[]
  readonly traceId: string | undefined
  /** When it was sent, milliseconds since the epoch. */
  readonly sentAt: number
}

/** How far clocks may differ, as between entries (K-TIME). */
const CLOCK_DIFFERENCE_MS = 60_000

/**
 * What a receipt must be, before its signature is looked at: one entry in its one form, of this dispatch, by somebody who is
 * configured for its origin, that names as parents exactly the tips that were sent, of the same trace, and of now.
 *
 * @throws {KestError} saying what is wrong
 */
export function readReceipt(
  values: readonly string[],
  { nonce, principals, tips, traceId, sentAt }: Dispatched,
  { limits, now }: { readonly limits: Limits; readonly now: number },
): ParsedEntry {
  const [value = ''] = values
  if (values.length !== 1) throw wrong(`${values.length} of them came`)
  if (value.length > MAX_RECEIPT_LENGTH) throw wrong(`it has ${value.length} characters`)
  const receipt = parseEntry(value, { limits })
  const { entry } = receipt
  const principal = entry.labels[LABEL.principal] as string
  if (entry.labels[LABEL.call] !== nonce) throw wrong('it is of another request')
  if (!principals.has(principal)) throw wrong(`${shown(principal)} is not configured for the origin`)
  if (isOutcome(entry)) throw wrong('it says how something has ended')
  const parents = new Set(entry.parent_ids)
  if (parents.size !== tips.length || !tips.every(({ hash }) => parents.has(hash)))
    throw wrong('its parents are not the tips that were sent')
  if (entry.labels[LABEL.traceId] !== traceId) throw wrong('it is of another trace')
  if (entry.timestamp_ms < sentAt - CLOCK_DIFFERENCE_MS || entry.timestamp_ms > now + CLOCK_DIFFERENCE_MS)
    throw wrong('its time is not that of the request')
  assertLowS(receipt, 0)
  return receipt
}

/** @throws {KestError} where it is not its principal's, or that cannot be said */
export async function assertSigned(parsed: ParsedEntry, rules: VerifyRules): Promise<void> {
  const principal = parsed.entry.labels[LABEL.principal] as string
  const asked = bindKeys({ parsed, index: 0, principal, parents: [] }, rules)
  const binding = isPromise(asked) ? await asked : asked
  if ('error' in binding) throw binding.error
  const failed = await checkSignature(binding.bound, rules)
  if (failed !== null) throw failed.error
}

function wrong(why: string): KestError {
  return new KestError('ERR_KEST_RECEIPT', why)
}
