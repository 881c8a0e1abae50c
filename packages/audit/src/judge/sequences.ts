import { type KestEntry, LABEL } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { NumberSet } from './number-set.js'

const LABEL_FORM = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([1-9]\d{0,14})$/
/** Gaps of one process that are told apart. */
const MAX_GAPS = 256

/** Entries that failed whose numbers are kept: beyond, each is a gap. Anybody can make them, so they may not fill memory. */
const MAX_FAILED = 65_536

/** An entry, as far as its number goes. */
export interface NumberedEntry {
  readonly entry: KestEntry
  readonly hash: string
  readonly failed: boolean
}

/**
 * The numbers that each process gave its entries (K-AUDIT): what misses between them was lost, even if nothing links to
 * it. Takes about a bit per entry, so that long exports can be judged.
 *
 * Does *not* notice that the last entries of a process are missing, or all.
 */
export class Sequences {
  readonly #processes = new Map<string, Process>()
  /** Of entries that failed: whose they are, is known when all have come. */
  readonly #failed: (readonly [process: string, number: number])[] = []
  readonly #repeated: AuditFinding[] = []

  /** Each entry once. One that failed has come, too: it is a finding of its own, and makes no gap. */
  add({ entry, hash, failed }: NumberedEntry): void {
    const [, name, number] = LABEL_FORM.exec(entry.labels[LABEL.seq] ?? '') ?? []
    if (name === undefined) return
    if (failed) {
      if (this.#failed.length < MAX_FAILED) this.#failed.push([name, Number(number)])
      return
    }
    let process = this.#processes.get(name)
    if (process === undefined) {
      process = new Process(name)
      this.#processes.set(name, process)
    }
    if (!process.add(Number(number), entry.labels[LABEL.principal] as string)) {
      const message = `number ${number} of process ${name} is also that of another entry`
      this.#repeated.push(finding('sequence-repeated', message, { entryHash: hash }))
    }
  }

  findings(): AuditFinding[] {
    for (const [name, number] of this.#failed.splice(0))
      this.#processes.get(name)?.numbersOfFailed.add(number)
    return [...this.#repeated, ...[...this.#processes.values()].flatMap((process) => process.findings())]
  }
}

class Process {
  readonly numbersOfFailed: NumberSet = new NumberSet()
  readonly #name: string
  readonly #numbers = new NumberSet()
  readonly #principals = new Set<string>()
  #first = Number.POSITIVE_INFINITY

  constructor(name: string) {
    this.#name = name
  }

  /** @returns whether no entry had the number before */
  add(number: number, principal: string): boolean {
    this.#principals.add(principal)
    this.#first = Math.min(this.#first, number)
    return this.#numbers.add(number)
  }

  findings(): AuditFinding[] {
    const who = `process ${this.#name} (${[...this.#principals].sort().join(', ')})`
    const findings: AuditFinding[] = []
    if (this.#principals.size > 1)
      findings.push(finding('sequence-shared', `${who}: several principals share its numbers`))
    if (this.#first > 1)
      findings.push(finding('sequence-start', `${who}: its numbers begin at ${this.#first}`))
    for (const [i, [from, to]] of [...this.#gaps()].entries()) {
      const which = from === to ? `number ${from} is` : `numbers ${from} to ${to} are`
      const message =
        i === MAX_GAPS ? `${who}: after number ${from - 1}, more are missing` : `${who}: ${which} missing`
      findings.push(finding('sequence-gap', message))
    }
    return findings
  }

  *#gaps(): Generator<readonly [from: number, to: number]> {
    let expected = this.#first
    let gaps = 0
    for (const number of this.#numbers) {
      while (expected < number && this.numbersOfFailed.has(expected)) expected++
      let end = number
      while (end > expected && this.numbersOfFailed.has(end - 1)) end--
      if (end > expected) {
        yield [expected, end - 1]
        if (++gaps > MAX_GAPS) return
      }
      expected = number + 1
    }
  }
}
