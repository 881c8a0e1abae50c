import { KestError, type PolicyDeniedError } from '../errors.js'
import { inTime } from '../in-time.js'
import { answered, isNativePromise, type MaybePromise } from '../maybe-promise.js'
import type { Question } from './ask.js'
import type { PolicyEngine } from './engine.js'
import { denied, failed, judge } from './judge.js'
import { LazyAbort } from './lazy-abort.js'
import { outcomesOf } from './outcomes.js'
import type { AskedRevisions } from './revision.js'
import { type Turn, type Turns, turnsOf } from './turns.js'

/** Bounds on the questions whose refusals are observed: time of their own. */
export interface WatchOptions {
  readonly timeoutMs: number
  /** Aborts when whoever asked has left. */
  readonly signal: AbortSignal | null
  /** Told which texts decided (K-REVISION). */
  readonly revisions?: AskedRevisions
}

/** As what each question would have been refused; `null` for one that was allowed. */
export type Verdicts = readonly (PolicyDeniedError | null)[]

/** A question that is asked, by its place among all. */
interface Asked {
  readonly question: Question
  readonly place: number
  readonly turn: Turn
}

/**
 * Asks what is only observed (K-OBSERVE), all at once, of engines' `aside` where they have one. An engine that denies, fails, is late or
 * talks nonsense is a verdict and never an error, and so is `ERR_KEST_NOT_ASKED`: nothing here refuses.
 */
export class Watch {
  /** Rejects with `ERR_KEST_ABORTED` alone, when whoever asked has left. */
  readonly verdicts: MaybePromise<Verdicts>
  readonly #work = new LazyAbort()
  readonly #revisions: AskedRevisions | undefined
  readonly #found: (PolicyDeniedError | null | undefined)[]
  /** Made for the first question that its engine does not answer at once. */
  #underWay: Set<Asked> | undefined

  constructor(questions: readonly Question[], options: WatchOptions) {
    this.#revisions = options.revisions
    this.#found = questions.map(() => undefined)
    const waiting = this.#ask(questions)
    if (waiting.length === 0) this.verdicts = this.#found as Verdicts
    else {
      const verdicts = this.#wait(waiting, options)
      // Where an enforced policy denies, nobody looks.
      verdicts.catch(() => {})
      this.verdicts = verdicts
    }
  }

  /** Something that is enforced refused: nobody waits any more. */
  abandon(cause: unknown): void {
    this.#leave(new KestError('ERR_KEST_ABORTED', 'an enforced policy decided', { cause }))
  }

  /** @returns what must be waited for */
  #ask(questions: readonly Question[]): readonly Promise<void>[] {
    const waiting: Promise<void>[] = []
    let together: Map<PolicyEngine, Asked[]> | undefined
    for (let place = 0; place < questions.length; place++) {
      const question = questions[place] as Question
      const { engine, request } = question
      const aside = engine.aside ?? engine
      const turns = turnsOf(engine)
      if (!turns.admit(policyOf(question))) {
        this.#found[place] = denied('ERR_KEST_NOT_ASKED', request, { reason: NOT_ASKED })
        continue
      }
      if (aside.evaluateAll === undefined) {
        const settling = this.#askAlone(aside, question, place, turns)
        if (settling !== undefined) waiting.push(settling)
        continue
      }
      together ??= new Map()
      const others = together.get(aside)
      const asked = this.#awaited(question, place, turns)
      if (others === undefined) together.set(aside, [asked])
      else others.push(asked)
    }
    for (const [engine, asked] of together ?? []) waiting.push(...this.#askTogether(engine, asked))
    return waiting
  }

  /** An engine that decides in process costs no more than its decision. */
  #askAlone(
    engine: PolicyEngine,
    question: Question,
    place: number,
    turns: Turns,
  ): Promise<void> | undefined {
    let verdict: PolicyDeniedError | null
    try {
      const outcome = answered<unknown>(engine.evaluate(question.request, this.#work))
      if (isNativePromise(outcome)) return this.#settled(outcome, this.#awaited(question, place, turns))
      verdict = this.#verdictOn(outcome, { question, place }, this.#revisionOf(engine))
    } catch (cause) {
      verdict = failed(question.request, cause)
    }
    this.#found[place] = verdict
    turns.answeredAtOnce(policyOf(question), isLate(verdict))
    return undefined
  }

  #askTogether(engine: PolicyEngine, all: readonly Asked[]): readonly Promise<void>[] {
    const waiting: Promise<void>[] = []
    const requests = Object.freeze(all.map(({ question }) => question.request))
    const outcomes = outcomesOf(engine, requests, this.#work)
    for (const [index, asked] of all.entries()) {
      const outcome = outcomes[index]
      if (isNativePromise(outcome)) waiting.push(this.#settled(outcome, asked))
      else this.#answeredAtOnce(engine, outcome, asked)
    }
    return waiting
  }

  #answeredAtOnce(engine: PolicyEngine, outcome: unknown, asked: Asked): void {
    let verdict: PolicyDeniedError | null
    try {
      verdict = this.#verdictOn(outcome, asked, this.#revisionOf(engine))
    } catch (cause) {
      verdict = failed(asked.question.request, cause)
    }
    this.#answered(asked, verdict)
  }

  /** Of an engine that has just answered. */
  #revisionOf(engine: PolicyEngine): unknown {
    return this.#revisions === undefined ? undefined : engine.revision?.()
  }

  #verdictOn(
    answer: unknown,
    { question: { request }, place }: Pick<Asked, 'question' | 'place'>,
    revision?: unknown,
  ): PolicyDeniedError | null {
    try {
      judge(answer, request, (said) => {
        // What comes late changes no verdict, and is on no record.
        if (this.#found[place] === undefined)
          this.#revisions?.add(request.context.environment.policy_tier, said ?? revision)
      })
      return null
    } catch (error) {
      return error as PolicyDeniedError
    }
  }

  #awaited(question: Question, place: number, turns: Turns): Asked {
    const asked = { question, place, turn: turns.turn(policyOf(question)) }
    this.#underWay ??= new Set()
    this.#underWay.add(asked)
    return asked
  }

  async #wait(waiting: readonly Promise<void>[], { timeoutMs, signal }: WatchOptions): Promise<Verdicts> {
    let verdicts: Verdicts | undefined
    const late = (ms: number): KestError => {
      // Before the engine is told, which may then answer that it was.
      const reason = `no decision within ${ms} ms`
      for (const { question, place, turn } of this.#underWay ?? []) {
        this.#found[place] = denied('ERR_KEST_ENGINE_TIMEOUT', question.request, { reason })
        turn.giveUp(true)
      }
      verdicts = [...this.#found] as Verdicts
      return new KestError('ERR_KEST_ENGINE_TIMEOUT', reason)
    }
    try {
      await inTime(Promise.all(waiting), {
        ms: timeoutMs,
        signal,
        what: 'what is observed was decided',
        late,
        onGivenUp: (reason) => this.#leave(reason),
      })
    } catch (error) {
      if (verdicts === undefined) throw error
      return verdicts
    }
    return this.#found as Verdicts
  }

  async #settled(outcome: Promise<unknown>, asked: Asked): Promise<void> {
    let verdict: PolicyDeniedError | null
    try {
      verdict = this.#verdictOn(await outcome, asked)
    } catch (cause) {
      verdict = failed(asked.question.request, cause)
    }
    this.#answered(asked, verdict)
  }

  /** What comes late changes no verdict. */
  #answered(asked: Asked, verdict: PolicyDeniedError | null): void {
    const { place, turn } = asked
    this.#underWay?.delete(asked)
    if (this.#found[place] === undefined) this.#found[place] = verdict
    turn.end(isLate(verdict))
  }

  #leave(reason: KestError): void {
    for (const { turn } of this.#underWay ?? []) turn.giveUp(false)
    this.#work.abort(reason)
  }
}

function policyOf({ request }: Question): string {
  return request.policies[0] as string
}

function isLate(verdict: PolicyDeniedError | null): boolean {
  return verdict?.code === 'ERR_KEST_ENGINE_TIMEOUT'
}

const NOT_ASKED = 'it is late, or too many questions that are only observed are under way'
