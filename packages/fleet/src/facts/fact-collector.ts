import { hash as digest } from 'node:crypto'
import { acrossTraces, type NumberedKind, type TraceReport } from '@kest/audit'
import type { VerdictRecord } from '../judge/verdict-record.js'
import type { NewRecord } from '../log/log.js'
import { encodeFacts, type Facts } from './fact-record.js'
import { spread } from './spread.js'

/** Facts of one record. */
const MAX_FACTS = 2_000
/** Principals of whom it is remembered since when they are there; beyond, all are told anew. */
const MAX_PRINCIPALS = 65_536
const CONTENT_DIGITS = 32
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
    const { numbers, ids, seen } = acrossTraces(report, now)
    for (const { jws, exported, ...one } of numbers) {
      const earlier = told.get(contentOf(jws))
      if (earlier === true || (earlier === false && !exported)) continue
      const how = !exported ? 'held' : before.whole ? 'exported' : 'again'
      this.#of(one.process).numbers.push({ ...one, how })
      if (exported) this.#first(one.what, one.principal, one.timestampMs)
    }
    for (const { entryId, jws, hash } of ids) {
      const signed = contentOf(jws)
      if (told.get(signed) === true) continue
      const content = digest('sha256', signed).slice(0, CONTENT_DIGITS)
      this.#of(entryId).ids.push({ entryId, content, hash })
    }
    for (const [principal, timestampMs] of seen) this.#of(principal).seen.push({ principal, timestampMs })
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
  #first(what: NumberedKind, principal: string, timestampMs: number): void {
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
    if (status !== 'failed' && source !== 'foreign') told.set(contentOf(signature), source === 'span')
  for (const { denial } of before?.denials ?? []) if (denial !== undefined) told.set(contentOf(denial), true)
  return told
}

function contentOf(jws: string): string {
  return jws.slice(0, jws.lastIndexOf('.'))
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
