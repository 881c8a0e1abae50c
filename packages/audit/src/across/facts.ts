import { sha256Hex } from '@kest/core'
import { acrossTraces } from '../judge/across-traces.js'
import type { TraceReport } from '../judge/audited-entry.js'
import type { NumberedKind } from '../judge/process-numbers.js'

const CONTENT_DIGITS = 32

/** What a judged trace has that is compared with other traces. */
export interface Facts {
  readonly numbers: readonly NumberFact[]
  readonly ids: readonly IdFact[]
  readonly firsts: readonly FirstFact[]
  readonly seen: readonly SeenFact[]
}

/** A number that a process gave. */
export interface NumberFact {
  readonly what: NumberedKind
  readonly process: string
  readonly number: number
  readonly principal: string
  readonly timestampMs: number
  readonly hash: string
  /** `held`: only a passport has it. `again`: it was exported, and may be one that was told before. */
  readonly how: 'exported' | 'again' | 'held'
}

/** That an `entry_id` is of this entry. */
export interface IdFact {
  readonly entryId: string
  /** Of what is signed, without the signature: 32 hex digits. */
  readonly content: string
  readonly hash: string
}

/** That a principal was there by then. */
export interface FirstFact {
  readonly what: NumberedKind
  readonly principal: string
  readonly timestampMs: number
}

/** That a principal has a verified entry, or a signed denial, of that time. */
export interface SeenFact {
  readonly principal: string
  readonly timestampMs: number
}

/**
 * What of a judged trace is told to whoever compares it with others.
 *
 * @param now when it is judged, milliseconds since the epoch: who is there is said by nothing that is dated later
 * @param howOf whether what is signed, without its signature, was not told before, may have been, or was (`null`)
 */
export function factsOf(
  report: Pick<TraceReport, 'entries' | 'denials'>,
  now: number,
  howOf: (signed: string, exported: boolean) => 'exported' | 'again' | null,
): Facts {
  const across = acrossTraces(report, now)
  const numbers: NumberFact[] = []
  const firsts: FirstFact[] = []
  const ids: IdFact[] = []
  for (const { jws, exported, ...one } of across.numbers) {
    const how = howOf(signedOf(jws), exported)
    if (how === null) continue
    numbers.push({ ...one, how: exported ? how : 'held' })
    const { what, principal, timestampMs } = one
    if (exported) firsts.push({ what, principal, timestampMs })
  }
  for (const { entryId, jws, hash } of across.ids) {
    const signed = signedOf(jws)
    if (howOf(signed, true) === null) continue
    ids.push({ entryId, content: sha256Hex(signed).slice(0, CONTENT_DIGITS), hash })
  }
  const seen = [...across.seen].map(([principal, timestampMs]) => ({ principal, timestampMs }))
  return { numbers, ids, firsts, seen }
}

/** What of a JWS is signed: twins have it in common. */
export function signedOf(jws: string): string {
  return jws.slice(0, jws.lastIndexOf('.'))
}
