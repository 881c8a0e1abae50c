import type { PolicyEngine } from './engine.js'

/** Observed questions that an engine with an `aside` works on at a time. */
const AT_ONCE = 256
/** The same of an engine without: what hangs there holds what enforced questions need. */
const AT_ONCE_BESIDE = 8
/** Policies that are known to be late; of more the one that was so first is forgotten. */
const MAX_LATE = 1_000

/**
 * How much an engine is asked of what is only observed (K-OBSERVE), so that a policy that hangs costs what is enforced nothing: its
 * questions are bounded in number, and once it was late one request at a time waits for it, until the policy answers again.
 */
export class Turns {
  readonly #atOnce: number
  #underWay = 0
  readonly #waiting = new Map<string, number>()
  readonly #late = new Set<string>()

  constructor({ aside }: PolicyEngine) {
    this.#atOnce = aside === undefined ? AT_ONCE_BESIDE : AT_ONCE
  }

  /** Whether the engine may be asked now, which then holds a place: until it is done, or for as long as a turn has it. */
  admit(policy: string): boolean {
    if (this.#underWay >= this.#atOnce) return false
    if (this.#late.size > 0 && this.#late.has(policy) && this.#waiting.has(policy)) return false
    this.#underWay++
    return true
  }

  /** For whoever was admitted, and has to wait. */
  turn(policy: string): Turn {
    this.#waiting.set(policy, (this.#waiting.get(policy) ?? 0) + 1)
    return new Turn(this, policy)
  }

  /** The engine of whoever was admitted answered at once. */
  answeredAtOnce(policy: string, late: boolean): void {
    if (late) this.late(policy)
    else this.answered(policy)
    this.done()
  }

  left(policy: string): void {
    const waiting = this.#waiting.get(policy) ?? 1
    if (waiting > 1) this.#waiting.set(policy, waiting - 1)
    else this.#waiting.delete(policy)
  }

  late(policy: string): void {
    this.#late.add(policy)
    if (this.#late.size > MAX_LATE) this.#late.delete(this.#late.values().next().value as string)
  }

  answered(policy: string): void {
    if (this.#late.size > 0) this.#late.delete(policy)
  }

  done(): void {
    this.#underWay--
  }
}

/** An observed question that is under way, and waited for. */
export class Turn {
  readonly #turns: Turns
  readonly #policy: string
  #isWaitedFor = true

  constructor(turns: Turns, policy: string) {
    this.#turns = turns
    this.#policy = policy
  }

  /** Nobody waits for it any more: it took too long, or nobody needs it. */
  giveUp(late: boolean): void {
    if (!this.#isWaitedFor) return
    this.#isWaitedFor = false
    this.#turns.left(this.#policy)
    if (late) this.#turns.late(this.#policy)
  }

  /** The engine works on it no more, whoever waits: its place is free. Called once. */
  end(late: boolean): void {
    if (this.#isWaitedFor && !late) this.#turns.answered(this.#policy)
    this.giveUp(late)
    this.#turns.done()
  }
}

const OF_ENGINES = new WeakMap<PolicyEngine, Turns>()

/** Those of an engine, whoever asks it. */
export function turnsOf(engine: PolicyEngine): Turns {
  let turns = OF_ENGINES.get(engine)
  if (turns === undefined) {
    turns = new Turns(engine)
    OF_ENGINES.set(engine, turns)
  }
  return turns
}
