import { type AuditFinding, finding } from '../finding.js'
import { MAX_RANGES, NumberRanges } from './number-ranges.js'
import { nameOfNumbered, processFindings, repeatedNumber } from './process-findings.js'
import { type NumberedKind, ProcessNumbers } from './process-numbers.js'

/** Who numbers in one process beside its first owner is an error by itself: of so many, so many ranges are told apart. Of more, how often they did. */
const MAX_OWNERS = 16
const MAX_OTHERS_RANGES = 64

/** How numbers are judged. */
export interface SequenceRules {
  /** Principals that share a process, each group by itself. */
  readonly shared: readonly (readonly string[])[]
  /** How much earlier its principal's first entry is than a process's, for that process to be one that began meanwhile; milliseconds. */
  readonly maxDelayMs: number
}

/** What is known of the numbers of one process, as JSON. */
export interface OpenSequenceState {
  readonly what: NumberedKind
  /** Its uuid. */
  readonly process: string
  readonly owners: readonly OpenOwnerState[]
  /** Numbers of yet others, of whom there are too many to be held. Default: none. */
  readonly others?: number
}

/** Numbers of a principal, or of those that share the process with it. */
export interface OpenOwnerState {
  readonly principals: readonly string[]
  /** The least that was exported, when it was made, and the least that a passport has; `null` when there is none. */
  readonly first: number | null
  readonly first_ms: number | null
  readonly known: number | null
  readonly ranges: readonly (readonly [from: number, to: number])[]
  readonly beyond: number
  readonly owner: string
}

/** A number of an entry, or of a signed denial. */
export interface OpenNumber {
  readonly number: number
  readonly principal: string
  readonly timestampMs: number
  readonly hash: string
  /** Whether it was exported; else somebody else has it. */
  readonly exported: boolean
}

/**
 * The numbers of one process that goes on: as an {@link Audit} judges them, and as often as is asked. Its memory is that of the gaps, not
 * of the numbers; of 1,024 ranges what lies elsewhere is counted, and a finding `limit`, and so is what more than 16 principals number.
 *
 * @example
 * ```ts
 * const sequence = new OpenSequence({ what: 'entry', process, owners: [] }, { shared: [], maxDelayMs: 3_600_000 })
 * sequence.add({ number: 1, principal, timestampMs, hash, exported: true })
 * const findings = sequence.findings(() => timestampMs, 1)
 * ```
 */
export class OpenSequence {
  readonly what: NumberedKind
  readonly process: string
  readonly #rules: SequenceRules
  readonly #owners = new Map<string, { readonly numbers: ProcessNumbers; readonly ranges: NumberRanges }>()
  #others: number

  constructor(state: OpenSequenceState, rules: SequenceRules) {
    this.what = state.what
    this.process = state.process
    this.#rules = rules
    this.#others = state.others ?? 0
    for (const { owner, principals, ranges, beyond, first, first_ms, known } of state.owners) {
      const store = new NumberRanges(ranges, beyond, this.#room)
      const begin = { first: orNone(first), firstMs: orNone(first_ms), known: orNone(known) }
      const numbers = new ProcessNumbers(this.#name, this.what, store, begin, principals)
      this.#owners.set(owner, { numbers, ranges: store })
    }
  }

  /** The greatest number that was exported. */
  get highest(): number {
    return Math.max(0, ...[...this.#owners.values()].map(({ ranges }) => ranges.highest))
  }

  /** How many ranges its numbers make. */
  get ranges(): number {
    return [...this.#owners.values()].reduce((sum, { ranges }) => sum + ranges.size, 0)
  }

  /** @returns that it is also the number of another, when it is */
  add({ number, principal, timestampMs, hash, exported }: OpenNumber): AuditFinding | null {
    const owner = ownerOf(principal, this.#rules)
    let own = this.#owners.get(owner)
    if (own === undefined) {
      if (this.#owners.size === MAX_OWNERS) {
        this.#others++
        return null
      }
      const ranges = new NumberRanges([], 0, this.#room)
      own = { numbers: new ProcessNumbers(this.#name, this.what, ranges), ranges }
      this.#owners.set(owner, own)
    }
    if (!exported) own.numbers.know(number)
    else if (!own.numbers.add(number, principal, timestampMs))
      return repeatedNumber(number, this.#name, this.what, hash)
    return null
  }

  /**
   * @param since when the first entry of an owner was made, in whatever process; milliseconds. Owners are named by {@link ownerOf}
   * @param upTo what misses after that number is not judged: it may be on its way
   */
  findings(since: (owner: string) => number, upTo: number): AuditFinding[] {
    const owners = new Map([...this.#owners].map(([owner, { numbers }]) => [owner, numbers]))
    const found = [...processFindings(this.#name, owners, since, this.#rules, upTo)]
    const why = `${this.#name}: ${this.#others} numbers were not judged: they are signed by more than ${MAX_OWNERS} principals`
    return this.#others === 0 ? found : [...found, finding('limit', why)]
  }

  get state(): OpenSequenceState {
    const owners = [...this.#owners].map(([owner, { numbers, ranges }]) => {
      const { first, firstMs, known } = numbers.begin
      return {
        owner,
        principals: [...numbers.principals],
        first: orNull(first),
        first_ms: orNull(firstMs),
        known: orNull(known),
        ranges: [...ranges.ranges()],
        beyond: ranges.beyond,
      }
    })
    const others = this.#others === 0 ? {} : { others: this.#others }
    return { what: this.what, process: this.process, owners, ...others }
  }

  get #room(): number {
    return this.#owners.size === 0 ? MAX_RANGES : MAX_OTHERS_RANGES
  }

  get #name(): string {
    return nameOfNumbered(this.what, this.process)
  }
}

/** Among whose numbers those of a principal count: its own, or those of its group. */
export function ownerOf(principal: string, { shared }: Pick<SequenceRules, 'shared'>): string {
  const group = shared.findIndex((names) => names.includes(principal))
  return group === -1 ? principal : `shared ${group}`
}

function orNone(value: number | null): number {
  return value ?? Number.POSITIVE_INFINITY
}

function orNull(value: number): number | null {
  return value === Number.POSITIVE_INFINITY ? null : value
}
