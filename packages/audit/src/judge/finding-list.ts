import { type AuditFinding, type FindingCode, finding } from '../finding.js'

/** Findings of one code that are told apart. Anybody can give cause for some, so they may not fill memory. */
const MAX_EACH = 1_000

/** Findings as they are made: of each code the first, and a last one that stands for all others. */
export class FindingList {
  readonly #max: number
  readonly #kept: AuditFinding[] = []
  readonly #counts = new Map<FindingCode, { kept: number; more: number }>()

  constructor(max: number = MAX_EACH) {
    this.#max = max
  }

  add(...findings: readonly AuditFinding[]): void {
    for (const one of findings) this.#add(one)
  }

  /** One that is told apart from no other, as there are too many. */
  count({ code, times }: AuditFinding): void {
    this.#countOf(code).more += times
  }

  list(): readonly AuditFinding[] {
    const rest = [...this.#counts].filter(([, { more }]) => more > 0)
    return [
      ...this.#kept,
      ...rest.map(([code, { more }]) => finding(code, `and ${more} more of these`, { times: more })),
    ]
  }

  #add(one: AuditFinding): void {
    const count = this.#countOf(one.code)
    if (one.times > 1 || count.kept === this.#max) count.more += one.times
    else {
      count.kept++
      this.#kept.push(one)
    }
  }

  #countOf(code: FindingCode): { kept: number; more: number } {
    let count = this.#counts.get(code)
    if (count === undefined) {
      count = { kept: 0, more: 0 }
      this.#counts.set(code, count)
    }
    return count
  }
}
