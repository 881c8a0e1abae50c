import { assertOptions } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { ownerOf, type SequenceRules } from '../judge/open-sequence.js'
import type { FirstFact, NumberFact } from './facts.js'
import { HeldSequence, type HeldState, heldStateOf } from './held-sequence.js'
import { SequenceTable, type TableBounds } from './sequence-table.js'
import { type StandingFinding, standingFinding } from './standing-finding.js'

const BOUNDS: TableBounds = { ofOne: 32_768, ofAll: 524_288 }
/** How long a process may be quiet. */
const QUIET_MS = 7 * 86_400_000
/** Of a process that was quiet so long nobody is told that it is held no more. */
const OLD_MS = 86_400_000
const PREFIX = { held: 'sequence ', first: 'first ' } as const

export interface OpenSequencesOptions {
  readonly rules: SequenceRules
  /** How long a number that misses may be on its way, milliseconds. */
  readonly waitMs: number
  /** Default: 32,768 of one principal, 524,288 of all. */
  readonly bounds?: TableBounds
  /** Told of each key whose state is otherwise: for whoever keeps it elsewhere. */
  readonly changed?: (key: string) => void
}

/**
 * The numbers of processes that go on, over all traces (K-AUDIT, K-DENIAL): which miss or repeat, and how they begin. What misses is said
 * when it was waited for, and withdrawn when it comes. It has no clock: whoever tells it of something says when it is.
 *
 * Its memory is that of gaps, not of numbers. Of a principal that has too many, and of all, those that were quiet for longest are forgotten,
 * which is a finding `limit` unless they were quiet for a day; those that were quiet for seven days are, too.
 */
export class OpenSequences {
  readonly #options: OpenSequencesOptions
  readonly #held: SequenceTable
  /** By kind and owner. */
  readonly #since = new Map<string, number>()
  /** Those that wait, in the order in which their wait is over. */
  readonly #waiting = new Map<string, HeldSequence>()
  /** What is judged anew. */
  readonly #stale = new Set<string>()
  readonly #forgotten = new Map<string, number>()
  #said: StandingFinding[] = []

  /** @throws {KestConfigError} for options that are unknown */
  constructor(options: OpenSequencesOptions) {
    assertOptions('open sequences', options, ['rules', 'waitMs', 'bounds', 'changed'])
    this.#options = options
    this.#held = new SequenceTable(options.bounds ?? BOUNDS)
  }

  /** How many processes are held. */
  get size(): number {
    return this.#held.size
  }

  /** Whether there may be something to say. */
  get hasNews(): boolean {
    return this.#stale.size + this.#said.length + this.#forgotten.size > 0
  }

  /** Since when a principal is there, in whatever process. */
  first({ what, principal, timestampMs }: FirstFact): void {
    const { rules } = this.#options
    const key = `${what} ${ownerOf(principal, rules)}`
    if ((this.#since.get(key) ?? Number.POSITIVE_INFINITY) <= timestampMs) return
    this.#since.set(key, timestampMs)
    this.#changed(PREFIX.first + key)
    const group = rules.shared.find((names) => names.includes(principal)) ?? [principal]
    for (const name of group)
      for (const [held, one] of this.#held.of(name)) if (one.beganLate) this.#stale.add(held)
  }

  /** @param now never less than the one before; milliseconds */
  add(fact: NumberFact, now: number): void {
    const key = `${fact.what} ${fact.process}`
    const held = this.#held.get(key) ?? HeldSequence.begin(fact, this.#options.rules)
    const { repeated, stale } = held.add(fact, now)
    this.#held.touch(key, held)
    if (repeated !== null) this.#say(repeated, held)
    if (stale) this.#stale.add(key)
    this.#changed(PREFIX.held + key)
    if (held.wait(now + this.#options.waitMs)) this.#waiting.set(key, held)
    for (const [other, one] of this.#held.beyond(held.principal)) {
      this.#drop(other)
      if (now - one.lastMs < OLD_MS)
        this.#forgotten.set(one.principal, (this.#forgotten.get(one.principal) ?? 0) + 1)
    }
  }

  /** What was waited for until then is judged. */
  pass(now: number): void {
    this.#settle(now)
    for (const [key] of this.#held.quiet(now - QUIET_MS)) this.#drop(key)
  }

  /** Nothing more comes: all is judged as it stands. */
  end(): void {
    this.#settle(Number.POSITIVE_INFINITY)
  }

  /** What is otherwise than was said the last time. */
  news(): StandingFinding[] {
    for (const key of this.#stale) this.#judge(key)
    for (const [principal, times] of this.#forgotten) {
      const why = `numbers of processes of ${principal} are judged no more: it has more processes than are held`
      this.#said.push(standingFinding(finding('limit', why, { times }), `workload:${principal}`))
    }
    this.#stale.clear()
    this.#forgotten.clear()
    const said = this.#said
    this.#said = []
    return said
  }

  /** What is known under a key, as JSON; `null`: nothing any more. */
  stateOf(key: string): unknown {
    if (key.startsWith(PREFIX.first)) return this.#since.get(key.slice(PREFIX.first.length)) ?? null
    return this.#held.get(key.slice(PREFIX.held.length))?.state ?? null
  }

  /**
   * Goes on from what was known.
   * @returns keys of what is of this, and cannot be read
   */
  restore(states: ReadonlyMap<string, unknown>): string[] {
    const strange: string[] = []
    const restored: [string, HeldSequence][] = []
    for (const [key, value] of states) {
      if (key.startsWith(PREFIX.first) && Number.isSafeInteger(value))
        this.#since.set(key.slice(PREFIX.first.length), value as number)
      if (!key.startsWith(PREFIX.held)) continue
      const state: HeldState | null = heldStateOf(value)
      if (state === null) strange.push(key)
      else restored.push([key.slice(PREFIX.held.length), new HeldSequence(state, this.#options.rules)])
    }
    restored.sort(([, one], [, other]) => one.lastMs - other.lastMs)
    for (const [key, held] of restored) this.#held.touch(key, held)
    const waiting = restored.filter(([, { dueMs }]) => dueMs !== null)
    waiting.sort(([, one], [, other]) => (one.dueMs as number) - (other.dueMs as number))
    for (const [key, held] of waiting) this.#waiting.set(key, held)
    return strange
  }

  #settle(now: number): void {
    for (const [key, held] of this.#waiting) {
      if ((held.dueMs as number) > now) break
      this.#waiting.delete(key)
      const more = held.settle()
      this.#stale.add(key)
      this.#changed(PREFIX.held + key)
      if (more && held.wait(now + this.#options.waitMs)) this.#waiting.set(key, held)
    }
  }

  #drop(key: string): void {
    this.#waiting.delete(key)
    this.#stale.delete(key)
    this.#changed(PREFIX.held + key)
  }

  #judge(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    const since = (owner: string): number =>
      this.#since.get(`${held.sequence.what} ${owner}`) ?? Number.POSITIVE_INFINITY
    for (const { finding: one, withdrawn } of held.changes(since)) this.#say(one, held, withdrawn)
    this.#changed(PREFIX.held + key)
  }

  #say(one: AuditFinding, { sequence }: HeldSequence, withdrawn = false): void {
    this.#said.push(standingFinding(one, `process:${sequence.process}`, withdrawn))
  }

  #changed(key: string): void {
    this.#options.changed?.(key)
  }
}
