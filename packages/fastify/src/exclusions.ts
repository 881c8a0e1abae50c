/** The routes that an operator leaves out, and which of his patterns have met none so far. */
export class Exclusions {
  readonly #exact: ReadonlySet<string>
  /** What lies below these, each with its final slash. */
  readonly #below: readonly string[]
  readonly #unmet: Set<string>

  /**
   * @param routes patterns exactly as declared: `/health`, `/docs/*`; `OPTIONS *` for one method alone
   * @param below paths whose routes are left out, whatever their patterns: `/docs` for what begins with `/docs/`
   */
  constructor(routes: readonly string[], below: readonly string[] = []) {
    this.#exact = new Set(routes)
    this.#below = below.map((path) => `${path}/`)
    this.#unmet = new Set([...routes, ...this.#below])
  }

  /** Whether a route is left out, which it is when all of its methods are. */
  cover(methods: readonly string[], url: string): boolean {
    const perMethod = methods.map((method) => `${method} ${url}`)
    const met = [
      ...(this.#exact.has(url) ? [url] : []),
      ...(methods.length > 0 && perMethod.every((key) => this.#exact.has(key)) ? perMethod : []),
      ...this.#below.filter((prefix) => url.startsWith(prefix)),
    ]
    for (const pattern of met) this.#unmet.delete(pattern)
    return met.length > 0
  }

  /** Patterns that no route had, and paths, with a final slash, below which there was none. */
  unmet(): readonly string[] {
    return [...this.#unmet]
  }
}
