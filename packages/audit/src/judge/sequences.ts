import type { AuditFinding } from '../finding.js'
import { KEY_BYTES, Ledger, uuidOf } from '../group/ledger.js'
import type { AcrossNumber } from './across-traces.js'
import type { SequenceRules } from './open-sequence.js'
import { nameOfNumbered, processFindings, repeatedNumber } from './process-findings.js'
import { type NumberedKind, ProcessNumbers } from './process-numbers.js'

const NUMBER_AT = KEY_BYTES
const TIME_AT = NUMBER_AT + 8
const PRINCIPAL_AT = TIME_AT + 8
const EXPORTED_AT = PRINCIPAL_AT + 4
const HASH_AT = EXPORTED_AT + 4
const HASH_BYTES = 32
const RECORD_BYTES = HASH_AT + HASH_BYTES

/**
 * The numbers that each process gave its entries (K-AUDIT), or its signed denials (K-DENIAL), counted per principal and process: what
 * misses between them was lost, even if nothing links to it. Takes 72 bytes for each, in files when there are many.
 *
 * Does *not* notice that the last of a process are missing, or all.
 */
export class Sequences {
  readonly #rules: SequenceRules
  readonly #ledger: Ledger
  readonly #principals: Principal[] = []
  readonly #byName = new Map<string, number>()

  readonly #what: NumberedKind

  /** @param path of a file with that name */
  constructor(path: (name: string) => string, rules: SequenceRules, what: NumberedKind = 'entry') {
    this.#rules = rules
    this.#what = what
    this.#ledger = new Ledger(path, what === 'entry' ? 'numbers' : 'denial-numbers', RECORD_BYTES)
  }

  /** @returns a promise when whoever adds should wait for it */
  add({ process, number, hash, principal, timestampMs, exported }: AcrossNumber): Promise<void> | undefined {
    const index = this.#indexOf(principal)
    const known = this.#principals[index] as Principal
    if (exported) known.firstMs = Math.min(known.firstMs, timestampMs)
    return this.#ledger.add(process, (record) => {
      record.writeDoubleLE(number, NUMBER_AT)
      record.writeDoubleLE(timestampMs, TIME_AT)
      record.writeUInt32LE(index, PRINCIPAL_AT)
      record.writeUInt32LE(exported ? 1 : 0, EXPORTED_AT)
      record.write(hash, HASH_AT, HASH_BYTES, 'hex')
    })
  }

  async *findings(): AsyncGenerator<AuditFinding> {
    const since = this.#firstTimes()
    for await (const share of this.#ledger.shares()) {
      const processes = new Map<string, Map<number, ProcessNumbers>>()
      for (const [process, record] of share) {
        let owners = processes.get(process)
        if (owners === undefined) {
          owners = new Map()
          processes.set(process, owners)
        }
        const principal = this.#principals[record.readUInt32LE(PRINCIPAL_AT)] as Principal
        let numbers = owners.get(principal.owner)
        if (numbers === undefined) {
          numbers = new ProcessNumbers(this.#nameOf(process), this.#what)
          owners.set(principal.owner, numbers)
        }
        const number = record.readDoubleLE(NUMBER_AT)
        if (record.readUInt32LE(EXPORTED_AT) === 0) numbers.know(number)
        else if (!numbers.add(number, principal.name, record.readDoubleLE(TIME_AT))) {
          yield repeatedNumber(number, this.#nameOf(process), this.#what, record.toString('hex', HASH_AT))
        }
      }
      for (const [process, owners] of processes) {
        const name = this.#nameOf(process)
        yield* processFindings(name, owners, (owner) => since.get(owner) as number, this.#rules)
      }
    }
  }

  #nameOf(process: string): string {
    return nameOfNumbered(this.#what, uuidOf(process))
  }

  /** When the first entry of each owner was made, of whatever process. */
  #firstTimes(): ReadonlyMap<number, number> {
    const first = new Map<number, number>()
    for (const { owner, firstMs } of this.#principals)
      first.set(owner, Math.min(first.get(owner) ?? firstMs, firstMs))
    return first
  }

  #indexOf(name: string): number {
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    const index = this.#principals.length
    const group = this.#rules.shared.findIndex((names) => names.includes(name))
    this.#principals.push({
      name,
      owner: group === -1 ? index : -1 - group,
      firstMs: Number.POSITIVE_INFINITY,
    })
    this.#byName.set(name, index)
    return index
  }
}

/** Who signs, and whose numbers that counts among: its own, or those of its group. */
interface Principal {
  readonly name: string
  readonly owner: number
  firstMs: number
}
