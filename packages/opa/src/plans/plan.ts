import type { Combination } from './format.js'

/**
 * What is known of a plan: nothing yet; OPA has it and it is asked; OPA does not have it; it was there and answered an error, too
 * late, or something else than a plan does.
 */
export type PlanState = 'untried' | 'used' | 'absent' | 'failed'

/** What an operation asks together, and how. */
export interface PlanStatus {
  /** Paths of the documents, for each question in its order: what `policyPlans` takes. */
  readonly combination: Combination
  readonly state: PlanState
}

/**
 * One plan, and whether it is used. It is tried beside the single questions first, so that nobody waits for one that is not
 * there, and again after a while when it was not, or did not answer as it should.
 */
export class Plan implements PlanStatus {
  readonly name: string
  readonly combination: Combination
  readonly #retryMs: number
  #state: PlanState = 'untried'
  #tryAt = 0

  constructor(name: string, combination: Combination, retryMs: number) {
    this.name = name
    this.combination = combination
    this.#retryMs = retryMs
  }

  get state(): PlanState {
    return this.#state
  }

  /** Whether it is to be tried now. Whoever is told so tries it: nobody else is for a while. */
  takeTry(): boolean {
    const now = performance.now()
    if (this.#state === 'used' || now < this.#tryAt) return false
    this.#tryAt = now + this.#retryMs
    return true
  }

  is(state: PlanState): void {
    this.#state = state
    this.#tryAt = performance.now() + this.#retryMs
  }
}
