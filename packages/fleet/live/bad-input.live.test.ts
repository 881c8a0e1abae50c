import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { ATTRIBUTE, createKeySource } from '@kest/core'
import { Admin, murmur2, Producer } from '@platformatic/kafka'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import type { Broker } from '../../../tests/brokers/broker.js'
import { startKafka } from '../../../tests/brokers/kafka.js'
import { type OtlpSpan, otlpLine } from '../../audit/dist/testing/make-span.js'
import { soundTrace, Workloads } from '../../audit/dist/testing/plant.js'
import { createTopics, Fleet, type VerdictRecord } from '../src/index.js'

const PARTITIONS = 2
const LARGE = 100_000
const MAX_TRACE_SPANS = 2_000
const MAX_OPEN = 300
const DAY_MS = 86_400_000

let broker: Broker
let admin: Admin
let producer: Producer<Buffer, Buffer, Buffer, Buffer>

beforeAll(async () => {
  broker = await startKafka({ 'group.min.session.timeout.ms': 1_000 })
  const client = { clientId: 'test', bootstrapBrokers: [broker.url], retries: 100, retryDelay: 100 }
  admin = new Admin(client)
  producer = new Producer({ ...client, acks: -1 })
  for (const one of [admin, producer]) one.on('error', () => {})
  const configs = [
    { name: 'max.message.bytes', value: '20000000' },
    // By default no record is taken that is an hour ahead.
    { name: 'message.timestamp.after.max.ms', value: `${30 * DAY_MS}` },
  ]
  await admin.createTopics({ topics: ['spans'], partitions: PARTITIONS, replicas: 1, configs })
  await createTopics({ kafka: { brokers: [broker.url] }, prefix: 'bad', partitions: PARTITIONS })
})

afterAll(async () => {
  await producer?.close(true)
  await admin?.close()
  await broker?.stop()
})

/** A span of Kest that anybody may write: nothing of it is signed. */
function forged(traceId: string, attributes: Record<string, unknown> = {}): OtlpSpan {
  return {
    name: 'kest.anything',
    traceId,
    spanId: randomBytes(8).toString('hex'),
    attributes: { [ATTRIBUTE.signature]: 'none', ...attributes },
  }
}

async function send(
  spans: readonly OtlpSpan[],
  partition = 0,
  timestamp = Date.now(),
  topic = 'spans',
): Promise<void> {
  const value = Buffer.from(otlpLine('any', spans))
  await producer.send({ messages: [{ topic, partition, value, timestamp: BigInt(timestamp) }] })
}

async function committed(): Promise<number[]> {
  const topics = [{ name: 'bad-entries', partitionIndexes: [0, 1] }]
  const [group] = await admin.listConsumerGroupOffsets({ groups: [{ groupId: 'bad-judge', topics }] })
  const partitions = [...(group?.topics[0]?.partitions ?? [])]
  return partitions
    .sort((a, b) => a.partitionIndex - b.partitionIndex)
    .map(({ committedOffset }) => Number(committedOffset))
}

it('K-FLEET bounds and reports what strangers feed it, and pins no commit and delays nobody by it', async () => {
  const workloads = new Workloads()
  const trust = createKeySource(new Map(Object.entries(workloads.keys())) as never)
  const verdicts = new Map<string | null, VerdictRecord>()
  const fleet = await Fleet.start({
    kafka: { brokers: [broker.url] },
    judge: { trust },
    topic: 'spans',
    prefix: 'bad',
    group: 'bad',
    maxTraceSpans: MAX_TRACE_SPANS,
    settling: { settleMs: 1_000, maxAgeMs: 4_000, maxOpen: MAX_OPEN },
    onVerdict: (one) => void verdicts.set(one.trace_id, one),
  })
  onTestFinished(() => fleet.close())

  // For as long as this goes on, somebody feeds one trace, and what names none.
  const endless = 'a'.repeat(32)
  const stopped = new AbortController()
  onTestFinished(() => stopped.abort())
  const feeding = (async () => {
    while (!stopped.signal.aborted) {
      await send([forged(endless), forged('')])
      await delay(100)
    }
  })()
  feeding.catch(() => {})

  const large = 'b'.repeat(32)
  for (let n = 0; n < LARGE; n += 1_000) await send(Array.from({ length: 1_000 }, () => forged(large)))
  const huge = 'c'.repeat(32)
  await send([forged(huge, { [ATTRIBUTE.signature]: 'x'.repeat(10_000_000) })])
  const many = Array.from({ length: 4 * MAX_OPEN }, () => forged(randomBytes(16).toString('hex')))
  await send(many)
  // Clocks that are days away, of whoever exports and of whoever writes the record.
  const [ahead, behind, sound] = [1, 2, 3].map(() => soundTrace(workloads)) as [
    ReturnType<typeof soundTrace>,
    ReturnType<typeof soundTrace>,
    ReturnType<typeof soundTrace>,
  ]
  const spansOf = ({ spans }: typeof sound) => spans.map(({ span }) => span)
  await send(spansOf(ahead), 1, Date.now() + 3 * DAY_MS)
  await send(spansOf(behind), 1, Date.now() - 3 * DAY_MS)
  await send(spansOf(sound), 0)

  for (const { traceId } of [ahead, behind, sound])
    await expect.poll(() => verdicts.get(traceId)?.verdict).toBe('verified')
  await expect.poll(() => verdicts.get(large)?.findings.map(({ code }) => code)).toContain('limit')
  expect(verdicts.get(large)?.verdict).not.toBe('verified')
  await expect.poll(() => verdicts.get(huge)?.findings.length).toBeGreaterThan(0)
  expect(verdicts.get(huge)?.verdict).not.toBe('verified')
  await expect.poll(() => many.filter(({ traceId }) => verdicts.has(traceId)).length).toBe(many.length)
  expect(many.some(({ traceId }) => verdicts.get(traceId)?.fleet.early)).toBe(true)
  for (const key of [endless, null]) await expect.poll(() => verdicts.get(key)?.verdict).toBeDefined()
  // Nothing that is fed on holds back what is done for good.
  for (let round = 0; round < 2; round++) {
    const before = await committed()
    const at = before.findIndex((offset) => offset > 0)
    await expect.poll(async () => (await committed())[at]).toBeGreaterThan(before[at] as number)
  }
  stopped.abort()
  await feeding
})

it('K-FLEET judges what falls to one partition by choice of a stranger, bounded and all of it, and other partitions’ traces meanwhile', async () => {
  const workloads = new Workloads()
  const trust = createKeySource(new Map(Object.entries(workloads.keys())) as never)
  const configs = [{ name: 'max.message.bytes', value: '20000000' }]
  await admin.createTopics({ topics: ['keys-spans'], partitions: PARTITIONS, replicas: 1, configs })
  await createTopics({ kafka: { brokers: [broker.url] }, prefix: 'keys', partitions: PARTITIONS })
  const verdicts = new Map<string | null, VerdictRecord>()
  const fleet = await Fleet.start({
    kafka: { brokers: [broker.url] },
    judge: { trust },
    topic: 'keys-spans',
    prefix: 'keys',
    group: 'keys',
    settling: { settleMs: 1_000, maxOpen: MAX_OPEN },
    onVerdict: (one) => void verdicts.set(one.trace_id, one),
  })
  onTestFinished(() => fleet.close())
  const partitionOf = (traceId: string): number => (murmur2(Buffer.from(traceId)) >>> 0) % PARTITIONS
  const chosen = new Set<string>()
  const feed = async (): Promise<void> => {
    const spans: OtlpSpan[] = []
    while (spans.length < 1_000) {
      const traceId = randomBytes(16).toString('hex')
      if (partitionOf(traceId) !== 0) continue
      chosen.add(traceId)
      spans.push(forged(traceId))
    }
    await send(spans, 0, Date.now(), 'keys-spans')
  }
  while (chosen.size < 4_000) await feed()
  let sound = soundTrace(workloads)
  while (partitionOf(sound.traceId) === 0) sound = soundTrace(workloads)
  await send(
    sound.spans.map(({ span }) => span),
    1,
    Date.now(),
    'keys-spans',
  )
  // For as long as that one is not judged, it goes on.
  while (!verdicts.has(sound.traceId)) {
    await feed()
    await delay(100)
  }
  expect(verdicts.get(sound.traceId)).toMatchObject({
    verdict: 'verified',
    fleet: { early: false, positions: { partition: 1 } },
  })
  await expect.poll(() => [...chosen].filter((traceId) => !verdicts.has(traceId)).length).toBe(0)
  const ofChosen = [...chosen].map((traceId) => (verdicts.get(traceId) as VerdictRecord).fleet)
  expect(new Set(ofChosen.map(({ positions }) => positions.partition))).toEqual(new Set([0]))
  expect(ofChosen.some(({ early }) => early)).toBe(true)
})
