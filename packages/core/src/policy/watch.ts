import { KestError, type PolicyDeniedError } from '../errors.js'
import { inTime } from '../in-time.js'
import { isNativePromise, type MaybePromise } from '../maybe-promise.js'
import type { Question } from './ask.js'
import type { PolicyEngine } from './engine.js'
import { denied, failed, judge } from './judge.js'
import { LazyAbort } from './lazy-abort.js'
import { outcomesOf } from './outcomes.js'

/** Bounds on the questions whose refusals are observed: time of their own. */
export interface WatchOptions {
  readonly timeoutMs: number
  /** Aborts when whoever asked has left. */
  readonly signal: AbortSignal | null
}

/** As what each question would have been refused; `null` for one that was allowed. */
export type Verdicts = readonly (PolicyDeniedError | null)[]

/**
 * Asks what is only observed (K-OBSERVE), all at once. An engine that denies, fails, is late or talks nonsense is a verdict and
 * never an error: nothing here refuses.
 */
export class Watch {
  /** Rejects with `ERR_KEST_ABORTED` alone, when whoever asked has left. */
  readonly verdicts: MaybePromise<Verdicts>
  readonly #work = new LazyAbort()

  constructor(questions: readonly Question[], options: WatchOptions) {
    const outcomes = this.#ask(questions)
    if (outcomes.some(isNativePromise)) {
      const verdicts = this.#wait(questions, outcomes, options)
      // Where an enforced policy denies, nobody looks.
      verdicts.catch(() => {})
      this.verdicts = verdicts
    } else this.verdicts = outcomes.map((answer, place) => verdictOn(answer, questions[place] as Question))
  }

  /** Something that is enforced refused: nobody waits any more. */
  abandon(cause: unknown): void {
    this.#work.abort(new KestError('ERR_KEST_ABORTED', 'an enforced policy decided', { cause }))
  }

  #ask(questions: readonly Question[]): readonly MaybePromise<unknown>[] {
    const together = new Map<PolicyEngine, number[]>()
    const outcomes: MaybePromise<unknown>[] = questions.map(({ engine, request }, place) => {
      if (engine.evaluateAll === undefined) return outcomesOf(engine, [request], this.#work)[0]
      together.set(engine, [...(together.get(engine) ?? []), place])
      return undefined
    })
    for (const [engine, places] of together) {
      const requests = Object.freeze(places.map((place) => (questions[place] as Question).request))
      const answers = outcomesOf(engine, requests, this.#work)
      for (const [index, place] of places.entries()) outcomes[place] = answers[index]
    }
    return outcomes
  }

  async #wait(
    questions: readonly Question[],
    outcomes: readonly MaybePromise<unknown>[],
    { timeoutMs, signal }: WatchOptions,
  ): Promise<Verdicts> {
    const found: (PolicyDeniedError | null | undefined)[] = questions.map(() => undefined)
    const all = Promise.all(
      outcomes.map(async (outcome, place) => {
        found[place] = await settled(outcome, questions[place] as Question)
      }),
    )
    let verdicts: Verdicts | undefined
    const late = (ms: number): KestError => {
      // Before the engine is told, which may then answer that it was.
      verdicts = found.map((verdict, place) =>
        verdict === undefined
          ? denied('ERR_KEST_ENGINE_TIMEOUT', (questions[place] as Question).request, {
              reason: `no decision within ${ms} ms`,
            })
          : verdict,
      )
      return new KestError('ERR_KEST_ENGINE_TIMEOUT', `no decision within ${ms} ms`)
    }
    try {
      await inTime(all, {
        ms: timeoutMs,
        signal,
        what: 'what is observed was decided',
        late,
        onGivenUp: (reason) => this.#work.abort(reason),
      })
    } catch (error) {
      if (verdicts === undefined) throw error
      return verdicts
    }
    return found as Verdicts
  }
}

async function settled(
  outcome: MaybePromise<unknown>,
  question: Question,
): Promise<PolicyDeniedError | null> {
  try {
    return verdictOn(isNativePromise(outcome) ? await outcome : outcome, question)
  } catch (cause) {
    return failed(question.request, cause)
  }
}

function verdictOn(answer: unknown, { request }: Question): PolicyDeniedError | null {
  try {
    judge(answer, request)
    return null
  } catch (error) {
    return error as PolicyDeniedError
  }
}
