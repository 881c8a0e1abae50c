import { IdTable } from '@kest/audit'

/** What is known of a trace that was judged. */
export interface Judged {
  /** Where its last verdict is. */
  readonly verdict: number
  /** All of its spans up to this offset are in that verdict; `Infinity`: no more of them are taken. */
  readonly covered: number
}

/** Which traces were judged. Their verdicts lie in the log; what is here says where, and which spans need not be read again. */
export class JudgedIndex {
  readonly #table = new IdTable()

  get size(): number {
    return this.#table.size
  }

  get(traceId: string): Judged | undefined {
    const known = this.#table.get(traceId)
    return known && { verdict: known.offset, covered: known.mark }
  }

  /** Forgets those whose last verdict lies before an offset. */
  forget(before: number): void {
    this.#table.forget(before)
  }

  /** @returns whether it counts: what covers less than what is known is older, whenever it was written */
  set(traceId: string, { verdict, covered }: Judged): boolean {
    if ((this.#table.get(traceId)?.mark ?? 0) > covered) return false
    this.#table.set(traceId, { offset: verdict, mark: covered })
    return true
  }
}
