import { KestError } from '../errors.js'
import { inTime } from '../in-time.js'
import { isNativePromise, isPromise, type MaybePromise } from '../maybe-promise.js'
import type { PolicyEngine, PolicyRequest } from './engine.js'
import { denied, failed, judge } from './judge.js'
import { LazyAbort } from './lazy-abort.js'
import { outcomesOf } from './outcomes.js'
import type { AskedRevisions } from './revision.js'

/** The policies of one tier, and who decides them. */
export interface Question {
  readonly engine: PolicyEngine
  readonly request: PolicyRequest
}

/** Bounds on all questions of an operation together. */
export interface AskOptions {
  readonly timeoutMs: number
  /** Aborts when whoever asked has left. */
  readonly signal: AbortSignal | null
  /** Before each question is asked or judged: throws when nobody waits for it. */
  readonly throwIfGone?: () => void
  /** Told of each question whose engine allowed, in their order, with its reason. */
  readonly onAllowed?: (request: PolicyRequest, reason: string | undefined) => void
  /** Told which texts decided (K-REVISION). */
  readonly revisions?: AskedRevisions
}

/**
 * Asks once, without a retry (SPEC §11.1), and judges in order (K-ASK). Engines with `evaluateAll` are asked all that is
 * theirs at once, as soon as the first of them is due; the others one question after another. The first question that is
 * not allowed ends it: nothing more is asked, later answers are neither waited for nor looked at, and their engines'
 * signal aborts. Returns only when all allowed.
 *
 * @throws {PolicyDeniedError} `ERR_KEST_DENIED` (the answer is no), `ERR_KEST_ENGINE` (it threw),
 * `ERR_KEST_ENGINE_TIMEOUT`, `ERR_KEST_ENGINE_ANSWER` (not a decision): of the first question in order that has one.
 * @throws {KestError} `ERR_KEST_ABORTED` when `signal` aborts first; what `throwIfGone` throws
 */
export function ask(questions: readonly Question[], options: AskOptions): MaybePromise<void> {
  return new Round(questions, options).begin()
}

class Round {
  readonly #questions: readonly Question[]
  readonly #options: AskOptions
  readonly #work = new LazyAbort()
  /** What was asked at once, by its place among the questions. */
  readonly #outcomes = new Map<number, MaybePromise<unknown>>()
  /** What engines that have answered say of their texts, by the place of the question. */
  readonly #revisions = new Map<number, unknown>()
  /** The question that is being judged. */
  #at = 0
  #over = false

  constructor(questions: readonly Question[], options: AskOptions) {
    this.#questions = questions
    this.#options = options
  }

  begin(): MaybePromise<void> {
    try {
      const waiting = this.#proceed()
      if (waiting === undefined) return
      const { timeoutMs, signal } = this.#options
      return inTime(this.#wait(waiting), {
        ms: timeoutMs,
        signal,
        what: 'the policies were decided',
        late: (ms) => {
          const { engine, request } = this.#questions[this.#at] as Question
          const where = engine.address === undefined ? '' : ` from ${engine.address}`
          return denied('ERR_KEST_ENGINE_TIMEOUT', request, { reason: `no decision${where} within ${ms} ms` })
        },
        onGivenUp: (reason) => this.#end(reason),
      })
    } catch (error) {
      throw this.#ended(error)
    }
  }

  get #request(): PolicyRequest {
    return (this.#questions[this.#at] as Question).request
  }

  /** Judges what is answered already; comes back with what must be waited for, or with nothing after the last. */
  #proceed(): Promise<unknown> | undefined {
    for (; this.#at < this.#questions.length; this.#at++) {
      this.#options.throwIfGone?.()
      const answer = this.#answer()
      if (isNativePromise(answer)) return answer
      this.#judge(answer)
    }
    return undefined
  }

  async #wait(first: Promise<unknown>): Promise<void> {
    try {
      for (let waiting: Promise<unknown> | undefined = first; waiting !== undefined; ) {
        const answer = await waiting.catch((cause: unknown) => {
          throw failed(this.#request, cause)
        })
        // Whoever waited has been told otherwise.
        if (this.#over) return
        this.#judge(answer)
        this.#at++
        waiting = this.#proceed()
      }
    } catch (error) {
      throw this.#ended(error)
    }
  }

  #answer(): MaybePromise<unknown> {
    const { engine, request } = this.#questions[this.#at] as Question
    if (engine.evaluateAll !== undefined && this.#outcomes.size === 0) this.#askAtOnce()
    if (this.#outcomes.has(this.#at)) return this.#outcomes.get(this.#at)
    try {
      const answer: MaybePromise<unknown> = engine.evaluate(request, this.#work)
      // What an engine answers may be a promise of another kind, with nothing but then().
      if (isPromise(answer)) return Promise.resolve(answer)
      this.#answeredBy(engine, this.#at)
      return answer
    } catch (cause) {
      throw failed(request, cause)
    }
  }

  #askAtOnce(): void {
    const places = new Map<PolicyEngine, number[]>()
    for (let place = this.#at; place < this.#questions.length; place++) {
      const { engine } = this.#questions[place] as Question
      if (engine.evaluateAll === undefined) continue
      const own = places.get(engine)
      if (own === undefined) places.set(engine, [place])
      else own.push(place)
    }
    for (const [engine, own] of places) {
      const requests = Object.freeze(own.map((place) => (this.#questions[place] as Question).request))
      const outcomes = outcomesOf(engine, requests, this.#work)
      for (const [index, place] of own.entries()) {
        const outcome = outcomes[index]
        this.#outcomes.set(place, outcome)
        if (isNativePromise(outcome)) continue
        try {
          this.#answeredBy(engine, place)
        } catch (cause) {
          const failure = Promise.reject(cause)
          // It may not be looked at.
          failure.catch(() => {})
          this.#outcomes.set(place, failure)
        }
      }
    }
  }

  /** At once, so that what it says of its text is of the one that has answered. */
  #answeredBy(engine: PolicyEngine, place: number): void {
    if (engine.revision !== undefined && this.#options.revisions !== undefined)
      this.#revisions.set(place, engine.revision())
  }

  #judge(answer: unknown): void {
    const request = this.#request
    const { revisions } = this.#options
    const reason = judge(answer, request, (said) =>
      revisions?.add(request.context.environment.policy_tier, said ?? this.#revisions.get(this.#at)),
    )
    this.#options.onAllowed?.(request, reason)
  }

  /** After an error, whoever still works on a later question does so for nobody. */
  #ended(error: unknown): unknown {
    const later = [...this.#outcomes.keys()].some((place) => place > this.#at)
    if (later && !this.#over) {
      this.#end(
        new KestError('ERR_KEST_ABORTED', 'an earlier question decided', {
          cause: error,
        }),
      )
    }
    return error
  }

  #end(reason: KestError): void {
    this.#over = true
    this.#work.abort(reason)
  }
}
