import type { ListenerOptions } from '@kest/core'
import { type Outcome, refused } from '../outcome.js'
import type { Believed } from '../support/house.js'
import type { Answer, Mallory } from '../support/mallory.js'

/** How hop3 knows who sends (K-HOP). */
export const BINDINGS = ['none', 'hop', 'mtls'] as const

export type Binding = (typeof BINDINGS)[number]

/** Acts an attack out; the answer is that to its last request. */
export type Play = (mallory: Mallory) => Promise<Answer>

/** What a hop with a valid identity of its own tries, and what becomes of it: a row of the table in SECURITY.md. */
export interface HopAttack extends Readonly<Record<Binding, Outcome>> {
  /** What it does. */
  readonly attack: string
  /** Why it ends so. */
  readonly why: string
  /** What hop3 believes where it takes the request; what is left out is as in an honest one. */
  readonly believed?: Partial<Believed>
  /** What hop3's listener has beside the defaults. */
  readonly receiver?: ListenerOptions
  /** Whether there is a list of roots; default `true`. */
  readonly rootsListed?: boolean
  readonly play: Play
}

/** Attacks of one kind. */
export interface Group {
  readonly title: string
  readonly attacks: readonly HopAttack[]
}

type Outcomes = Readonly<Record<Binding, Outcome>>

export const NOT_THE_SENDERS: Outcome = refused('ERR_KEST_BINDING')

export const everywhere = (outcome: Outcome): Outcomes => ({ none: outcome, hop: outcome, mtls: outcome })

/** Where the sender is bound, the passport is not its to send. */
export const bound = (free: Outcome): Outcomes => ({
  none: free,
  hop: NOT_THE_SENDERS,
  mtls: NOT_THE_SENDERS,
})

export const ENFORCE: ListenerOptions = { semantics: 'enforce' }
export const OTHER_RAISERS = { raisers: ['spiffe://example.org/hop1'] }

/** What an attack presupposes has happened. */
export function assertRan({ ran, code }: Answer): void {
  if (!ran) throw new Error(`what comes first is refused: ${code}`)
}
