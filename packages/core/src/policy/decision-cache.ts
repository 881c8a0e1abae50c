import { assertOptions } from '../assert-options.js'
import { type Clock, systemClock } from '../clock.js'
import { KestConfigError } from '../errors.js'
import { isNativePromise, type MaybePromise } from '../maybe-promise.js'
import { DecisionFlight } from './decision-flight.js'
import { decisionKeys, IGNORABLE_FIELDS, type IgnorableField, withhold } from './decision-key.js'
import type { Decision, PolicyEngine, PolicyRequest } from './engine.js'
import { isEngine } from './is-engine.js'
import { outcomesOf } from './outcomes.js'
import { toReason } from './reason.js'
import { revisionsOf } from './revision.js'
import { SharedWork } from './shared-work.js'

export interface DecisionCacheOptions {
  /**
   * What decisions do not depend on. It is left out of the key, and withheld from the engine: a policy that reads it all
   * the same finds nothing there. Required, because `environment.parent_hash` differs with every request: an engine that
   * may see it is asked again each time.
   */
  readonly ignore: readonly IgnorableField[]
  /** How long an allow is kept, milliseconds. Default 5,000. */
  readonly ttlMs?: number
  /** How long a denial is kept, milliseconds; 0 keeps none. Default: as long as an allow. */
  readonly deniedTtlMs?: number
  /** Decisions at a time; the oldest goes first. Default 10,000. */
  readonly max?: number
  readonly clock?: Clock
}

/** What a cache did so far. */
export interface DecisionCacheStats {
  /** Kept now, the expired ones among them. */
  readonly decisions: number
  readonly hits: number
  /** Questions that the engine was asked. */
  readonly misses: number
  /** Questions that waited for the answer to another. */
  readonly joined: number
}

/** An engine that remembers. Made by {@link cacheDecisions}. */
export interface CachedPolicyEngine extends PolicyEngine {
  /**
   * Forgets what was decided: all of it, or what a policy had a part in. What is under way is not kept when it comes.
   * Call it when policies, or the data behind them, have changed.
   */
  invalidate(policy?: string): void
  stats(): DecisionCacheStats
}

/** Longer keys are not kept, so that strangers cannot fill memory with attributes. */
const MAX_KEY_LENGTH = 8_192
const WHERE = 'cacheDecisions'
const KNOWN = ['ignore', 'ttlMs', 'deniedTtlMs', 'max', 'clock']

/**
 * Puts a cache before an engine. A decision is kept under all that the engine could see of the question, and given again
 * only to the very same one. Equal questions that come while one is under way share its answer; one of them that leaves
 * takes nothing from the others. What is no decision (an error, a time-out, a malformed answer) is never kept. Of questions that
 * are asked at once (K-ASK) each is looked up, and the engine is asked at once for those that are missing.
 *
 * Within its time a kept decision does not notice that the world behind the policy has changed: the hour, the engine's
 * data, its policies. {@link CachedPolicyEngine.invalidate} forgets; an engine that has a `generation` is asked anew when
 * that changes. The engine must not decide by `entryId`, which differs with every request.
 *
 * @throws {KestConfigError} for options that are missing, unknown or wrong
 *
 * @example
 * ```ts
 * const engine = cacheDecisions(new OPAPolicyEngine({ url }), {
 *   ignore: ['environment.parent_hash', 'object.attributes'],
 *   ttlMs: 10_000,
 *   deniedTtlMs: 1_000,
 * })
 * configure({ identity, engine, trust })
 * ```
 */
export function cacheDecisions(engine: PolicyEngine, options: DecisionCacheOptions): CachedPolicyEngine {
  return new DecisionCache(engine, options)
}

interface Kept {
  readonly answer: boolean | Decision
  readonly policies: readonly string[]
  readonly since: number
  readonly ttlMs: number
}

interface UnderWay {
  readonly flight: DecisionFlight
  readonly policies: readonly string[]
}

/** A question that nothing is known of. */
interface Missing {
  readonly place: number
  readonly key: string
  readonly request: PolicyRequest
}

class DecisionCache implements CachedPolicyEngine {
  readonly #engine: PolicyEngine
  readonly #ignored: ReadonlySet<IgnorableField>
  readonly #keyOf: (request: PolicyRequest) => string
  readonly #ttlMs: number
  readonly #deniedTtlMs: number
  readonly #max: number
  readonly #clock: Clock
  readonly #kept = new Map<string, Kept>()
  readonly #underWay = new Map<string, UnderWay>()
  #hits = 0
  #misses = 0
  #joined = 0
  /** There where the engine has it: what is asked in order is asked in order behind a cache, too. */
  readonly evaluateAll?: NonNullable<PolicyEngine['evaluateAll']>
  /** What it ignores, and what its engine keeps back by itself. */
  readonly withholds: readonly IgnorableField[]
  /** Remembers by itself: nobody whose question is enforced joins one that is only observed. */
  readonly aside?: DecisionCache

  /** @param isAside whether it is another's, and has none of its own */
  constructor(engine: PolicyEngine, options: DecisionCacheOptions, isAside = false) {
    if (!isEngine(engine)) fail('expected an engine')
    assertOptions(WHERE, options, KNOWN)
    const { ignore, ttlMs = 5_000, deniedTtlMs = ttlMs, max = 10_000, clock = systemClock } = options
    if (!Array.isArray(ignore)) fail('ignore: expected a list of fields, which may be empty')
    for (const field of ignore) {
      if (!IGNORABLE_FIELDS.includes(field)) {
        fail(`ignore: "${String(field)}" is none of ${IGNORABLE_FIELDS.join(', ')}`)
      }
    }
    if (typeof clock?.now !== 'function') fail('clock: expected an object with a method now()')
    this.#engine = engine
    this.#ignored = new Set(ignore)
    this.withholds = Object.freeze([...new Set([...ignore, ...(engine.withholds ?? [])])])
    this.#keyOf = decisionKeys(this.#ignored)
    this.#ttlMs = integer('ttlMs', ttlMs, 1)
    this.#deniedTtlMs = integer('deniedTtlMs', deniedTtlMs, 0)
    this.#max = integer('max', max, 1)
    this.#clock = clock
    if (engine.evaluateAll !== undefined) {
      this.evaluateAll = (requests, { signal }) => this.#answersTo(requests, signal)
    }
    if (isAside || engine.aside === undefined) return
    this.aside = engine.aside === engine ? this : new DecisionCache(engine.aside, options, true)
  }

  get address(): string | undefined {
    return this.#engine.address
  }

  get generation(): number {
    return this.#engine.generation ?? 0
  }

  evaluate(
    request: PolicyRequest,
    { signal }: { readonly signal: AbortSignal },
  ): MaybePromise<boolean | Decision> {
    return this.#answersTo([request], signal)[0] as MaybePromise<boolean | Decision>
  }

  invalidate(policy?: string): void {
    for (const all of [this.#kept, this.#underWay]) {
      for (const [key, { policies }] of all) {
        if (policy === undefined || policies.includes(policy)) all.delete(key)
      }
    }
    this.#other?.invalidate(policy)
  }

  stats(): DecisionCacheStats {
    const { decisions = 0, hits = 0, misses = 0, joined = 0 } = this.#other?.stats() ?? {}
    return {
      decisions: decisions + this.#kept.size,
      hits: hits + this.#hits,
      misses: misses + this.#misses,
      joined: joined + this.#joined,
    }
  }

  close(): MaybePromise<void> {
    this.invalidate()
    return this.#engine.close?.()
  }

  get #other(): DecisionCache | undefined {
    return this.aside === this ? undefined : this.aside
  }

  /** A look for each, and one question to the engine for all that is missing. */
  #answersTo(
    requests: readonly PolicyRequest[],
    signal: AbortSignal,
  ): readonly MaybePromise<boolean | Decision>[] {
    const answers: MaybePromise<boolean | Decision>[] = []
    const missing: Missing[] = []
    for (const [place, request] of requests.entries()) {
      const key = this.#nameOf(request)
      const known = this.#known(key, request, signal)
      if (known === undefined) missing.push({ place, key, request })
      else answers[place] = known
    }
    if (missing.length === 0) return answers
    this.#misses += missing.length
    const work = new SharedWork(missing)
    const shown = new Map<object, object>()
    const asked = missing.map(({ request }) =>
      Object.freeze({ ...request, context: withhold(request.context, this.#ignored, shown) }),
    )
    const outcomes = outcomesOf(this.#engine, asked, work)
    for (const [index, question] of missing.entries()) {
      const outcome = outcomes[index] as MaybePromise<boolean | Decision>
      answers[question.place] = this.#take(question, outcome, work, signal)
    }
    return answers
  }

  #nameOf(request: PolicyRequest): string {
    const { generation } = this.#engine
    return generation === undefined ? this.#keyOf(request) : `${generation}/${this.#keyOf(request)}`
  }

  #known(
    key: string,
    request: PolicyRequest,
    signal: AbortSignal,
  ): MaybePromise<boolean | Decision> | undefined {
    const kept = this.#kept.get(key)
    if (kept !== undefined) {
      const age = this.#clock.now() - kept.since
      if (age >= 0 && age < kept.ttlMs) {
        this.#hits++
        return kept.answer
      }
      this.#kept.delete(key)
    }
    const other = this.#underWay.get(key)
    if (other === undefined) return undefined
    this.#joined++
    return other.flight.join(request, signal)
  }

  #take(
    question: Missing,
    outcome: MaybePromise<boolean | Decision>,
    work: SharedWork<Missing>,
    signal: AbortSignal,
  ): MaybePromise<boolean | Decision> {
    const { key, request } = question
    const { policies } = request
    if (!isNativePromise(outcome)) {
      work.answered(question)
      return this.#keep(key, policies, outcome, this.#engine.revision?.())
    }
    const forget = (): void => {
      if (this.#underWay.get(key) === own) this.#underWay.delete(key)
    }
    const flight = new DecisionFlight(forget, (reason) => work.left(question, reason))
    const own: UnderWay = { flight, policies }
    if (key.length <= MAX_KEY_LENGTH) this.#underWay.set(key, own)
    flight.start(
      outcome.then(
        (settled) => {
          work.answered(question)
          if (this.#underWay.get(key) !== own) return settled
          this.#underWay.delete(key)
          return this.#keep(key, policies, settled)
        },
        (error: unknown) => {
          work.answered(question)
          forget()
          throw error
        },
      ),
    )
    return flight.join(request, signal)
  }

  /** What is no decision goes on as it is, to be judged by who asked. */
  #keep(
    key: string,
    policies: readonly string[],
    answer: boolean | Decision,
    revision?: unknown,
  ): boolean | Decision {
    const decision = decisionOf(answer, revision)
    if (decision === undefined) return answer
    if (key.length > MAX_KEY_LENGTH) return decision
    const allowed = decision === true || (decision !== false && decision.allow)
    const ttlMs = allowed ? this.#ttlMs : this.#deniedTtlMs
    if (ttlMs === 0) return decision
    this.#kept.delete(key)
    if (this.#kept.size >= this.#max) this.#kept.delete(this.#kept.keys().next().value as string)
    this.#kept.set(key, { answer: decision, policies, since: this.#clock.now(), ttlMs })
    return decision
  }
}

/**
 * A copy that nobody can change, with the text that decided. What cannot be read is none: questions that came with it have answers
 * of their own.
 *
 * @param engineSays of its text, for an answer that does not say it itself
 */
function decisionOf(answer: unknown, engineSays: unknown): boolean | Decision | undefined {
  if (typeof answer === 'boolean') {
    const revision = revisionsOf(engineSays)
    return revision === undefined ? answer : Object.freeze({ allow: answer, revision })
  }
  if (typeof answer !== 'object' || answer === null) return undefined
  try {
    const { allow, reason: words, revision: said } = answer as Decision
    if (typeof allow !== 'boolean') return undefined
    const reason = toReason(words)
    const revision = revisionsOf(said ?? engineSays)
    return Object.freeze({
      allow,
      ...(reason !== undefined && { reason }),
      ...(revision !== undefined && { revision }),
    })
  } catch {
    return undefined
  }
}

function integer(name: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  return fail(`${name}: expected an integer from ${least}, got ${String(value)}`)
}

function fail(message: string): never {
  throw new KestConfigError(`${WHERE}: ${message}`)
}
