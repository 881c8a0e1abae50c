import { EntryIdWindow, repeatedId } from '../across/entry-id-window.js'
import { factsOf, type IdFact, type SeenFact, signedOf } from '../across/facts.js'
import { OpenSequences } from '../across/open-sequences.js'
import { type StandingFinding, standingFinding } from '../across/standing-finding.js'
import type { TraceReport } from '../judge/audited-entry.js'
import type { SequenceRules } from '../judge/open-sequence.js'
import type { RosterWorkload } from '../roster/roster.js'
import { WatchedWorkload } from '../roster/watched-workload.js'
import type { ExportedSpan } from '../span/exported-span.js'

/** How often it is looked who is silent. */
const LOOK_MS = 1_000
/** Entries of which it is remembered that their id was said to be of another, too; beyond, it is said again when their trace is judged again. */
const MAX_SAID = 65_536

export interface OverTracesOptions {
  readonly rules: SequenceRules
  readonly roster: readonly RosterWorkload[]
  /** How much later than the others something of a process may be judged, milliseconds. */
  readonly waitMs: number
  /** Where an entry is, or `null`; and the hash of the one that is there. */
  readonly placeOf: (hash: string) => number | null
  readonly hashAt: (place: number) => string | null
}

/** What is found over all traces that are followed: numbers that miss or repeat, ids of two entries, who is silent. */
export class OverTraces {
  readonly #options: OverTracesOptions
  readonly #sequences: OpenSequences
  readonly #ids = new EntryIdWindow()
  readonly #watched: ReadonlyMap<string, WatchedWorkload>
  readonly #saidIds = new Set<string>()
  #repeated: StandingFinding[] = []
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(options: OverTracesOptions) {
    const { rules, waitMs, roster } = options
    this.#options = options
    this.#sequences = new OpenSequences({ rules, waitMs })
    const sinceMs = Date.now()
    this.#watched = new Map(
      roster.map((one) => [one.workload, new WatchedWorkload(one, { lastMs: null, sinceMs, told: null })]),
    )
  }

  /**
   * @param told spans of which it was judged before: their numbers are no others
   * @param isCertain whether what is none of those is new: of what names no trace, it may be the same once more
   * @param nowMs of those who follow
   */
  add(report: TraceReport, told: readonly ExportedSpan[], isCertain: boolean, nowMs: number): void {
    const before = new Set(
      told.flatMap(({ claims: { signature, denial } }) => [signature, denial].map(toldOf)),
    )
    const judgedMs = Date.now()
    const { firsts, numbers, ids, seen } = factsOf(report, judgedMs, (signed) =>
      isCertain && !before.has(signed) ? 'exported' : 'again',
    )
    for (const one of firsts) this.#sequences.first(one)
    for (const one of numbers) this.#sequences.add(one, nowMs)
    for (const one of ids) this.#id(one)
    for (const one of seen) this.#see(one, judgedMs)
  }

  /** What is otherwise than was said, when all was read that was there. */
  news(nowMs: number): StandingFinding[] {
    this.#sequences.pass(nowMs)
    return [...this.#said(), ...this.#silent(Date.now())]
  }

  /** The same, when nothing more comes. */
  end(): StandingFinding[] {
    this.#sequences.end()
    this.#lookedMs = Number.NEGATIVE_INFINITY
    return [...this.#said(), ...this.#silent(Date.now())]
  }

  #said(): StandingFinding[] {
    const repeated = this.#repeated
    this.#repeated = []
    return [...repeated, ...this.#sequences.news()]
  }

  #silent(now: number): StandingFinding[] {
    if (now - this.#lookedMs < LOOK_MS) return []
    this.#lookedMs = now
    return [...this.#watched.values()].flatMap((one) => one.look(now, this.#options.waitMs) ?? [])
  }

  #id(one: IdFact): void {
    const { placeOf, hashAt } = this.#options
    const place = placeOf(one.hash)
    // One more than where it is: 0 is for what nobody knows.
    const other = this.#ids.add(one, place === null ? 0 : place + 1)
    if (other === null || this.#saidIds.has(one.hash)) return
    if (this.#saidIds.size >= MAX_SAID) this.#saidIds.clear()
    this.#saidIds.add(one.hash)
    const hash = other === 0 ? null : hashAt(other - 1)
    this.#repeated.push(standingFinding(repeatedId(one, hash), `entry:${one.entryId}`))
  }

  #see({ principal, timestampMs }: SeenFact, judgedMs: number): void {
    this.#watched.get(principal)?.see(timestampMs, judgedMs)
  }
}

function toldOf(claim: unknown): string {
  return typeof claim === 'string' ? signedOf(claim) : ''
}
