/** What the lab tells: lines for people as they come, or one JSON document in the end. */
export class Report {
  readonly #json: boolean
  readonly #facts: Record<string, unknown> = {}

  constructor(json: boolean) {
    this.#json = json
  }

  say(text: string): void {
    if (!this.#json) console.log(text)
  }

  /** For machines. */
  fact(name: string, value: unknown): void {
    this.#facts[name] = value
  }

  /** @param failure what went wrong; `null` when all came out as it should */
  end(failure: string | null): void {
    if (this.#json) console.log(JSON.stringify({ ok: failure === null, failure, ...this.#facts }))
  }
}
