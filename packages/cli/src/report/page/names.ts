import type { Service } from '../tally/service-tally.js'

const SPIFFE = /^spiffe:\/\/([^/]+)\/(.+)$/

/** Names of workloads, without their trust domain where all are of one: each domain has its own `payments`. */
export class Names {
  readonly #domain: string | null

  constructor(services: readonly Service[]) {
    const domains = new Set(services.map(({ principal }) => SPIFFE.exec(principal)?.[1] ?? null))
    this.#domain = domains.size === 1 ? ([...domains][0] ?? null) : null
  }

  readonly of = (principal: string): string => {
    const [, domain, path] = SPIFFE.exec(principal) ?? []
    return domain !== undefined && path !== undefined && domain === this.#domain ? path : principal
  }

  /** The domain that is left out of names. */
  get domain(): string | null {
    return this.#domain
  }
}
