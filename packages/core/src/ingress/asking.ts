import type { Outages } from '../telemetry/outages.js'

/** What a request needs at the door, in this order. */
export type Asked =
  | 'claim check'
  | 'inbound lineage'
  | 'hop token'
  | 'message token'
  | 'bearer token'
  | 'pseudonym keys'

/**
 * What is asked at the door at this moment, as outages are told apart: that one of them answers says nothing of the others,
 * and what a request does not need says nothing at all.
 */
export class Asking {
  readonly #outages: Outages
  #what: Asked = 'inbound lineage'
  #exists = true

  constructor(outages: Outages) {
    this.#outages = outages
  }

  get what(): Asked {
    return this.#what
  }

  /** Whether there is such a thing here: what is not there is not down, whatever strangers ask for. */
  get exists(): boolean {
    return this.#exists
  }

  begins(what: Asked, exists = true): void {
    this.#what = what
    this.#exists = exists
  }

  answered(): void {
    this.#outages.works(this.#what)
  }
}
