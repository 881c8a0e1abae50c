import { type AuditFinding, finding } from '../finding.js'
import { KEY_BYTES, Ledger, uuidOf } from '../group/ledger.js'
import { listed, type NumberedKind, ProcessNumbers } from './process-numbers.js'

const LABEL_FORM = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([1-9]\d{0,14})$/

const NUMBER_AT = KEY_BYTES
const TIME_AT = NUMBER_AT + 8
const PRINCIPAL_AT = TIME_AT + 8
const EXPORTED_AT = PRINCIPAL_AT + 4
const HASH_AT = EXPORTED_AT + 4
const HASH_BYTES = 32
const RECORD_BYTES = HASH_AT + HASH_BYTES

/** How numbers are judged. */
export interface SequenceRules {
  /** Principals that share a process, each group by itself. */
  readonly shared: readonly (readonly string[])[]
  /** How much earlier its principal's first entry is than a process's, for that process to be one that began meanwhile; milliseconds. */
  readonly maxDelayMs: number
}

/** What is numbered. */
export interface Numbered {
  /** `<process uuid>:<n>`; passed over where it is none. */
  readonly label: string | undefined
  readonly hash: string
  readonly principal: string
  readonly timestampMs: number
  /** Whether it was exported; else somebody else has it. */
  readonly exported: boolean
}

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

  /**
   * Each that holds by itself, once. Of one that does not, the number is missing: nobody has shown whose it is, and anybody
   * could fill a gap with it.
   */
  async add({ label, hash, principal, timestampMs, exported }: Numbered): Promise<void> {
    const [, process, number] = LABEL_FORM.exec(label ?? '') ?? []
    if (process === undefined) return
    const index = this.#indexOf(principal)
    const known = this.#principals[index] as Principal
    if (exported) known.firstMs = Math.min(known.firstMs, timestampMs)
    await this.#ledger.add(process, (record) => {
      record.writeDoubleLE(Number(number), NUMBER_AT)
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
          const message = `number ${number} of ${this.#nameOf(process)} is also that of another ${this.#what}`
          const entryHash = this.#what === 'entry' ? record.toString('hex', HASH_AT) : null
          yield finding('sequence-repeated', message, { entryHash })
        }
      }
      for (const [process, owners] of processes) yield* this.#findingsOf(this.#nameOf(process), owners, since)
    }
  }

  *#findingsOf(
    process: string,
    owners: ReadonlyMap<number, ProcessNumbers>,
    since: ReadonlyMap<number, number>,
  ): Generator<AuditFinding> {
    const exported = [...owners.values()].filter(({ principals }) => principals.size > 0)
    if (exported.length > 1) {
      const names = exported.flatMap(({ principals }) => [...principals])
      yield finding('sequence-shared', `${process}: its numbers are signed by ${listed(names)}`)
    }
    for (const [owner, numbers] of owners) {
      // Of numbers that several sign, whoever began is not known.
      if (exported.length === 1) yield* numbers.start(since.get(owner) as number, this.#rules.maxDelayMs)
      yield* numbers.gaps()
    }
  }

  #nameOf(process: string): string {
    return this.#what === 'entry' ? `process ${uuidOf(process)}` : `denials of process ${uuidOf(process)}`
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
