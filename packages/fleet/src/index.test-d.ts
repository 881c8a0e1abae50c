import type { KeySource } from '@kest/core'
import type { MeterProvider } from '@opentelemetry/api'
import {
  createTopics,
  Fleet,
  type FleetCounts,
  type FleetFinding,
  type ReadVerdict,
  readFindings,
  readVerdicts,
  type VerdictRecord,
} from './index.js'

declare const trust: KeySource
declare const meterProvider: MeterProvider

const kafka = { brokers: ['kafka:9092'] } as const

export const started: Promise<Fleet> = Fleet.start({
  kafka,
  judge: { trust, shared: [['a', 'b']] },
  stages: ['split', 'judge', 'sequences', 'roster'],
  roster: [{ workload: 'spiffe://example.org/orders', withinMs: 60_000 }],
  settling: { settleMs: 1_000 },
  encoding: 'json',
  meterProvider,
  onVerdict: ({ trace_id, verdict, fleet: { positions, replaces } }) => {
    const name: string | null = trace_id
    const kind: 'verified' | 'incomplete' | 'broken' | 'empty' = verdict
    const from: number | undefined = positions.offsets[0]?.[0]
    return void [name, kind, from, replaces?.judged_at]
  },
  onFinding: ({ key, withdrawn, code }: FleetFinding) => void [key.length, !withdrawn, code],
})
export const made: Promise<void> = createTopics({ kafka, partitions: 8, replicas: 3, retentionMs: 1 })

export async function use(): Promise<FleetCounts> {
  await using fleet = await started
  const done: Promise<void> = fleet.done
  await done
  return fleet.counts
}

export async function read(): Promise<readonly (string | null | undefined)[]> {
  const found: (string | null | undefined)[] = []
  const onUnreadable = ({ place }: { place: string | null }): void => void found.push(place)
  const verdicts: AsyncIterable<ReadVerdict> = readVerdicts({ kafka, onUnreadable, prefix: 'kest' })
  for await (const { record, report } of verdicts)
    found.push(record.fleet.positions.topic, report.entries[0]?.entry.operation)
  for await (const { key } of readFindings({ kafka, onUnreadable, limits: { entryBytes: 1 } }))
    found.push(key)
  return found
}

// What is misspelt, missing or of another kind is an error.
// @ts-expect-error what cannot be read is told to somebody
void readVerdicts({ kafka })
// @ts-expect-error it joins no group
void readFindings({ kafka, onUnreadable: () => {}, group: 'kest-audit' })
// @ts-expect-error no keys to judge by
void Fleet.start({ kafka, judge: {} })
// @ts-expect-error no brokers
void Fleet.start({ kafka: {}, judge: { trust } })
// @ts-expect-error no such stage
void Fleet.start({ kafka, judge: { trust }, stages: ['sequence'] })
// @ts-expect-error a window of its own
void Fleet.start({ kafka, judge: { trust }, roster: [{ workload: 'a' }] })
// @ts-expect-error no such option
void Fleet.start({ kafka, judge: { trust }, settle: 1 })
// @ts-expect-error no such mechanism
void createTopics({ kafka: { ...kafka, sasl: { mechanism: 'GSSAPI', username: 'a', password: 'b' } } })
// @ts-expect-error it is started, and not made
void new Fleet()

export function frozen(verdict: VerdictRecord, { counts }: Fleet): void {
  // @ts-expect-error what was written stays as it is
  verdict.fleet.early = true
  // @ts-expect-error counts are read
  counts.spans = 1
}
