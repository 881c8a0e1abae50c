import type { PolicyRequest } from '@kest/core'
import { type Combination, isPlannable, planName, sizeOf } from './format.js'
import { Plan, type PlanStatus } from './plan.js'

/** Combinations that are remembered: those of the operations of a service. Beyond them each policy is asked alone. */
const MOST = 1_000

/** The plans of what was asked so far. */
export class Plans {
  readonly #pathOf: (policy: string) => string
  readonly #retryMs: number
  /** By the paths that they join; `null` for what no plan can join. */
  readonly #plans = new Map<string, Plan | null>()

  constructor(pathOf: (policy: string) => string, retryMs: number) {
    this.#pathOf = pathOf
    this.#retryMs = retryMs
  }

  /** The plan that joins what is asked; `null` where there is nothing to join, or it cannot be. */
  of(requests: readonly PolicyRequest[]): Plan | null {
    const combination = this.#combinationOf(requests)
    if (combination === null) return null
    const key = JSON.stringify(combination)
    let plan = this.#plans.get(key)
    if (plan === undefined) {
      if (this.#plans.size >= MOST) return null
      const joins = sizeOf(combination) > 1 && combination.flat().every(isPlannable)
      plan = joins ? new Plan(planName(combination), combination, this.#retryMs) : null
      this.#plans.set(key, plan)
    }
    return plan
  }

  status(): readonly PlanStatus[] {
    return [...this.#plans.values()].flatMap((plan) =>
      plan === null ? [] : [{ combination: plan.combination, state: plan.state }],
    )
  }

  /** `null` where a policy has no path: asked alone, it says so. */
  #combinationOf(requests: readonly PolicyRequest[]): Combination | null {
    try {
      return requests.map(({ policies }) => policies.map(this.#pathOf))
    } catch {
      return null
    }
  }
}
