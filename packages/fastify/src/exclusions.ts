/** The routes that an operator leaves out, and which of his patterns have met none so far. */
export class Exclusions {
  readonly #exact: ReadonlySet<string>
  /** What lies below these, each with its final slash. */
  readonly #below: readonly string[]
  readonly #unmet: Set<string>

  /** @param patterns `/health`, or `/docs/*` for all that lies below `/docs/` */
  constructor(patterns: readonly string[]) {
    this.#exact = new Set(patterns)
    this.#below = patterns.filter((pattern) => pattern.endsWith('/*')).map((pattern) => pattern.slice(0, -1))
    this.#unmet = new Set(patterns)
  }

  /** Whether a route is left out. */
  cover(url: string): boolean {
    const met = [
      ...(this.#exact.has(url) ? [url] : []),
      ...this.#below.filter((prefix) => url.startsWith(prefix)).map((prefix) => `${prefix}*`),
    ]
    for (const pattern of met) this.#unmet.delete(pattern)
    return met.length > 0
  }

  /** Patterns that no route had. */
  unmet(): readonly string[] {
    return [...this.#unmet]
  }
}
