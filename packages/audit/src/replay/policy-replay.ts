import {
  assertOptions,
  DEFAULT_LIMITS,
  IGNORABLE_FIELDS,
  type IgnorableField,
  KestConfigError,
  type KestEntry,
  LABEL,
  parseRevision,
  parseRevisionsLabel,
  type ReplayText,
} from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import type { AuditedEntry } from '../judge/audited-entry.js'
import { decideAgain } from './decide-again.js'
import { recordedTiers } from './recorded-policies.js'
import { type NotRebuilt, RecordedQuestions, type Withheld } from './recorded-questions.js'

/**
 * What became of the decisions of one entry. `match`: its texts, by their digests, decide so again. `match-by-name`: so do texts that are called
 * so. `mismatch`: it was signed, though a text denies. `unverifiable`: nobody knows.
 */
export type ReplayOutcome = 'match' | 'match-by-name' | 'mismatch' | 'unverifiable'

/** Why nobody knows. */
export type Unverifiable =
  | NotRebuilt
  /** It does not say which text decided, in one of its tiers. */
  | 'no-revision'
  /** Several texts decided in one tier: which of them decided what is not on record. */
  | 'several-texts'
  /** That text is not given here. */
  | 'text-not-given'
  /** Several different texts are given under that name, and they do not say the same. */
  | 'name-repeated'
  /** The text reads the clock, or something else outside; or fails. */
  | 'not-determined'

/** When a revision may decide: milliseconds since the epoch, from the first to before the last. */
export interface TimeInForce {
  readonly from?: number
  readonly until?: number
}

export interface PolicyReplayOptions {
  /** What decides again. Default none: then times in force alone are looked at. */
  readonly texts?: readonly ReplayText[]
  /** When revisions were in force: what one decided outside of that is a finding. Of revisions that are not named, nothing is said. */
  readonly inForce?: Readonly<Record<string, TimeInForce>>
  /** Parts of the context that caches of decisions withheld (`ignore`), a list for each of them. Nothing withheld is always tried. */
  readonly withheld?: readonly (readonly IgnorableField[])[]
}

/** What was decided again, by outcome; entries of which nobody knows by why. */
export interface ReplaySummary {
  readonly match: number
  readonly matchByName: number
  readonly mismatch: number
  readonly unverifiable: ReadonlyMap<Unverifiable, number>
}

/** What became of one entry. */
interface Replayed {
  readonly outcome: ReplayOutcome
  readonly why: Unverifiable | null
  readonly findings: readonly AuditFinding[]
}

const KNOWN = ['texts', 'inForce', 'withheld']

/**
 * Has policies decide again what is on record (K-REPLAY). Each question is rebuilt from entry and lineage, and is asked again only where it is, by
 * its digest, the one that was asked; of the very text that decided, in this process.
 *
 * An audit with it finds `policy-mismatch`, `revision-not-in-force`, `revision-repeated` and, as a note, `policy-unverifiable`. It is of one audit.
 *
 * @example
 * ```ts
 * const replay = new PolicyReplay({ texts: [await RegoReplay.load('bundle.tar.gz')] })
 * await using audit = new Audit({ trust, replay })
 * ```
 */
export class PolicyReplay {
  readonly #texts: readonly ReplayText[]
  readonly #inForce: ReadonlyMap<string, TimeInForce>
  readonly #withheld: readonly Withheld[]
  readonly #repeated = new Set<string>()
  readonly #outcomes = { match: 0, 'match-by-name': 0, mismatch: 0 }
  readonly #unverifiable = new Map<Unverifiable, number>()

  /** @throws {KestConfigError} for options that are unknown or wrong */
  constructor(options: PolicyReplayOptions = {}) {
    assertOptions('PolicyReplay', options, KNOWN)
    const { texts = [], inForce = {}, withheld = [] } = options
    if (!Array.isArray(texts) || !texts.every(isText)) fail('texts: expected texts that can be asked again')
    for (const [revision, time] of Object.entries(inForce)) {
      if (parseRevision(revision) === undefined) fail(`inForce: "${revision}" is no revision`)
      assertOptions(`PolicyReplay.inForce["${revision}"]`, time, ['from', 'until'])
      for (const one of [time.from, time.until])
        if (one !== undefined && !Number.isSafeInteger(one))
          fail(`inForce["${revision}"]: expected milliseconds`)
    }
    if (!Array.isArray(withheld)) fail('withheld: expected lists of fields')
    for (const fields of withheld)
      if (!Array.isArray(fields) || !fields.every((field) => IGNORABLE_FIELDS.includes(field)))
        fail(`withheld: expected lists of ${IGNORABLE_FIELDS.join(', ')}`)
    this.#texts = texts
    this.#inForce = new Map(Object.entries(inForce))
    this.#withheld = [new Set<IgnorableField>(), ...withheld.map((fields) => new Set<IgnorableField>(fields))]
  }

  /**
   * What is to be found in the entries of one trace.
   *
   * @param entries in a passport's order
   * @param most entries that a passport may have
   */
  *findings(entries: readonly AuditedEntry[], most = DEFAULT_LIMITS.entries): Generator<AuditFinding> {
    const questions = new RecordedQuestions(entries, this.#withheld, most)
    for (const one of entries) {
      // What nobody has shown to be signed decided nothing; what is of another trace is looked at there.
      // Of how an operation ended nothing was asked (K-OUTCOME).
      if (one.status === 'failed' || one.source === 'foreign' || one.outcomeOf !== null) continue
      const { entry } = one
      const revisions = revisionsIn(entry)
      yield* this.#outOfForce(one, revisions)
      if (this.#texts.length === 0) continue
      const { outcome, why, findings } = this.#again(one, questions, revisions)
      if (outcome === 'unverifiable')
        this.#unverifiable.set(why as Unverifiable, (this.#unverifiable.get(why as Unverifiable) ?? 0) + 1)
      else this.#outcomes[outcome]++
      yield* findings
    }
  }

  /** Findings that are of no trace, when all of them were judged. */
  *general(): Generator<AuditFinding> {
    for (const revision of this.#repeated) {
      const names = this.#texts.filter((text) => isCalled(text, revision)).map(({ name }) => name)
      yield finding('revision-repeated', `${revision} is the name of different texts: ${names.join(', ')}`)
    }
  }

  summary(): ReplaySummary {
    const { match, mismatch } = this.#outcomes
    const matchByName = this.#outcomes['match-by-name']
    return Object.freeze({ match, matchByName, mismatch, unverifiable: new Map(this.#unverifiable) })
  }

  *#outOfForce(
    { entry, hash }: AuditedEntry,
    revisions: ReadonlyMap<string, readonly string[]>,
  ): Generator<AuditFinding> {
    if (this.#inForce.size === 0) return
    for (const [tier, list] of revisions) {
      for (const revision of list) {
        const time = this.#inForce.get(revision)
        if (time === undefined) continue
        const { from = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY } = time
        const { timestamp_ms: at } = entry
        if (at >= from && at < until) continue
        const message = `${tier}: ${revision} decided at ${timeOf(at)}, when it was not in force`
        yield finding('revision-not-in-force', message, { entryHash: hash })
      }
    }
  }

  #again(
    one: AuditedEntry,
    questions: RecordedQuestions,
    revisions: ReadonlyMap<string, readonly string[]>,
  ): Replayed {
    const { entry, entryId, hash } = one
    // Whoever writes no such labels says nothing that could be held against it.
    if (!isOnRecord(entry)) return { outcome: 'unverifiable', why: 'no-context', findings: [] }
    const asked = questions.of(one)
    if (typeof asked === 'string') return unverifiable(asked, WHY[asked], hash)
    let unknown: Replayed | null = null
    let byName = false
    for (const recorded of recordedTiers(entry)) {
      const { tier } = recorded
      const [revision, ...others] = revisions.get(tier) ?? []
      const by = revision === undefined ? undefined : parseRevision(revision)
      if (revision === undefined || by === undefined)
        unknown ??= unverifiable('no-revision', `${tier}: ${WHY['no-revision']}`, hash)
      else if (others.length > 0)
        unknown ??= unverifiable('several-texts', `${tier}: ${WHY['several-texts']}`, hash)
      else {
        const texts = this.#textsOf(revision)
        if (texts.length > 1) this.#repeated.add(revision)
        const found = texts.map((text) => decideAgain(text, by, recorded, entryId, asked))
        const [first] = found
        if (first === undefined) {
          unknown ??= unverifiable('text-not-given', `${tier}: ${revision} is not given`, hash)
        } else if (found.some(({ outcome }) => outcome !== first.outcome)) {
          unknown ??= unverifiable('name-repeated', `${tier}: ${revision}: ${WHY['name-repeated']}`, hash)
        } else if (first.outcome === 'unknown') {
          unknown ??= unverifiable('not-determined', `${tier}: ${revision}: ${first.message}`, hash)
        } else if (first.outcome === 'other') {
          const message = `${first.message}, by ${revision}${by.isDigest ? '' : ', which is a name'}`
          const findings = [finding('policy-mismatch', message, { entryHash: hash })]
          return { outcome: 'mismatch', why: null, findings }
        } else byName ||= !by.isDigest
      }
    }
    return unknown ?? { outcome: byName ? 'match-by-name' : 'match', why: null, findings: [] }
  }

  /** Different ones: the same text that is given twice is one. */
  #textsOf(revision: string): readonly ReplayText[] {
    const found = new Map<string, ReplayText>()
    for (const text of this.#texts)
      if (text.revision === revision || isCalled(text, revision)) found.set(text.revision, text)
    return [...found.values()]
  }
}

const WHY: Readonly<Record<Exclude<Unverifiable, 'text-not-given' | 'not-determined'>, string>> = {
  'not-verified': 'what it builds on is not proven',
  'no-context': 'it has no digest of what was asked',
  'context-differs':
    'what follows from entry and lineage is not what was asked: raisers, ceilings, lists or withheld parts are others',
  'no-revision': 'it does not say which text decided',
  'several-texts': 'several texts decided, and it does not say which of them decided what',
  'name-repeated': 'different texts have that name, and they decide differently',
}

function unverifiable(why: Unverifiable, message: string, entryHash: string): Replayed {
  return { outcome: 'unverifiable', why, findings: [finding('policy-unverifiable', message, { entryHash })] }
}

/** The last that a `Date` can say. */
const LAST_TIME = 8_640_000_000_000_000

function timeOf(at: number): string {
  return at > LAST_TIME ? `${at} ms` : new Date(at).toISOString()
}

const NO_REVISIONS: ReadonlyMap<string, readonly string[]> = new Map()

function isOnRecord({ labels }: KestEntry): boolean {
  return labels[LABEL.context] !== undefined || labels[LABEL.revisions] !== undefined
}

function revisionsIn({ labels }: KestEntry): ReadonlyMap<string, readonly string[]> {
  const label = labels[LABEL.revisions]
  return (label === undefined ? undefined : parseRevisionsLabel(label)) ?? NO_REVISIONS
}

function isCalled(text: ReplayText, revision: string): boolean {
  const named = parseRevision(revision)
  return named !== undefined && !named.isDigest && text.isCalled(named)
}

function isText(value: unknown): value is ReplayText {
  const { revision, isCalled: called, replay } = (value ?? {}) as Partial<ReplayText>
  return typeof revision === 'string' && typeof called === 'function' && typeof replay === 'function'
}

function fail(message: string): never {
  throw new KestConfigError(`PolicyReplay: ${message}`)
}
