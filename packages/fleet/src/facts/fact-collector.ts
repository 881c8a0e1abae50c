import { type Facts, type FirstFact, factsOf, signedOf, type TraceReport } from '@kest/audit'
import type { VerdictRecord } from '../judge/verdict-record.js'
import type { NewRecord } from '../log/log.js'
import { encodeFacts } from './fact-record.js'
import { spread } from './spread.js'

/** Facts of one record. */
const MAX_FACTS = 2_000
/** Principals of whom it is remembered since when they are there; beyond, all are told anew. */
const MAX_PRINCIPALS = 65_536
/** Of records that have no use for one: their partition is chosen by what is in them. */
const KEY = 'facts'

/** What was told of a trace before. */
export interface ToldBefore {
  readonly verdict: VerdictRecord | null
  /** Whether that is all there was: what is new is certain then. */
  readonly whole: boolean
}

type Growing = { readonly [Name in keyof Facts]: Facts[Name][number][] }

/**
 * Collects what judged traces have that is compared with other traces: what was not told of them before, each to the partition where its
 * like comes together. All of one collector is written with the verdicts, or none of it.
 */
export class FactCollector {
  readonly #topic: string
  readonly #partitions: number
  readonly #since = new Map<string, number>()
  #facts: Growing[] = []

  constructor(topic: string, partitions: number) {
    this.#topic = topic
    this.#partitions = partitions
  }

  /** @param now when it is judged, milliseconds since the epoch: who is there is said by nothing that is dated later */
  add(report: Pick<TraceReport, 'entries' | 'denials'>, before: ToldBefore, now: number): void {
    const told = toldOf(before.verdict)
    const { numbers, ids, firsts, seen } = factsOf(report, now, (signed, exported) => {
      // To look for a text in a map, all of it is read, though there be nothing.
      const earlier = told.size === 0 ? undefined : told.get(signed)
      if (earlier === true || (earlier === false && !exported)) return null
      return before.whole ? 'exported' : 'again'
    })
    for (const one of numbers) this.#of(one.process).numbers.push(one)
    for (const one of ids) this.#of(one.entryId).ids.push(one)
    for (const one of firsts) this.#first(one)
    for (const one of seen) this.#of(one.principal).seen.push(one)
  }

  /** What was collected, which is then told. */
  records(): NewRecord[] {
    const facts = this.#facts
    this.#facts = []
    return facts.flatMap((own, partition) =>
      [...piecesOf(own)].map((piece) => {
        return { topic: this.#topic, partition, key: KEY, value: encodeFacts(piece) }
      }),
    )
  }

  #of(key: string): Growing {
    return this.#in(spread(key, this.#partitions))
  }

  #in(partition: number): Growing {
    this.#facts[partition] ??= { numbers: [], ids: [], firsts: [], seen: [] }
    return this.#facts[partition] as Growing
  }

  /** Since when somebody is there all have to know: his processes come to any partition. */
  #first({ what, principal, timestampMs }: FirstFact): void {
    const key = `${what} ${principal}`
    if ((this.#since.get(key) ?? Number.POSITIVE_INFINITY) <= timestampMs) return
    if (this.#since.size >= MAX_PRINCIPALS) this.#since.clear()
    this.#since.set(key, timestampMs)
    for (let partition = 0; partition < this.#partitions; partition++)
      this.#in(partition).firsts.push({ what, principal, timestampMs })
  }
}

/** What is signed, by whether it was exported. */
function toldOf(before: VerdictRecord | null): Map<string, boolean> {
  const told = new Map<string, boolean>()
  for (const { status, source, signature } of before?.entries ?? [])
    if (status !== 'failed' && source !== 'foreign') told.set(signedOf(signature), source === 'span')
  for (const { denial } of before?.denials ?? []) if (denial !== undefined) told.set(signedOf(denial), true)
  return told
}

function* piecesOf({ numbers, ids, firsts, seen }: Facts): Generator<Facts> {
  const count = Math.max(numbers.length, ids.length, firsts.length, seen.length)
  for (let from = 0; from < count; from += MAX_FACTS) {
    const to = from + MAX_FACTS
    yield {
      numbers: numbers.slice(from, to),
      ids: ids.slice(from, to),
      firsts: firsts.slice(from, to),
      seen: seen.slice(from, to),
    }
  }
}
