import { LABEL } from '@kest/core'
import { describe, expect, it } from 'vitest'
import type { MadeEntry } from '../../audit/dist/testing/make-entry.js'
import { spanOf } from '../../audit/dist/testing/make-span.js'
import type { VerdictRecord } from '../src/judge/verdict-record.js'
import { WaitingTraces } from '../src/judge/waiting.js'
import { Unavailable } from '../src/log/log.js'
import { PARTITIONS, TOPICS, World, type WorldOptions } from './support/world.js'

/** As the worlds of these tests have it. */
const MAX_AGE_MS = 10_000
const HOUR_MS = 3_600_000

/** An entry whose parent was not exported, in another trace. */
interface Orphan {
  readonly world: World
  readonly parent: MadeEntry
  readonly child: MadeEntry
  readonly traceId: string
  readonly partition: number
  /** Another is at work from then on, who has all from the log. */
  crash(): Promise<void>
}

function inTrace(n: number): { labels: Record<string, string> } {
  return { labels: { [LABEL.traceId]: n.toString(16).padStart(32, '0') } }
}

function traceOf({ entry }: MadeEntry): string {
  return entry.labels[LABEL.traceId] as string
}

async function orphaned(options: WorldOptions = {}): Promise<Orphan> {
  const world = new World(options)
  world.log.now = Date.now()
  const { gateway, orders } = world.workloads
  const parent = gateway.make([], inTrace(1))
  const child = orders.make([parent], inTrace(2))
  const traceId = traceOf(child)
  await world.send([spanOf(child)])
  await world.pass(0)
  await world.pass(1_000)
  const [first] = world.written()
  expect(first).toMatchObject({ key: traceId, verdict: { verdict: 'incomplete' } })
  const { partition } = first as { partition: number }
  const crash = async (): Promise<void> => {
    await world.takeOver(partition, world.judgeAt(partition).position)
  }
  return { world, parent, child, traceId, partition, crash }
}

function records(world: World): number {
  return Array.from({ length: PARTITIONS }, (_, n) => world.log.all(TOPICS.verdicts, n).length).reduce(
    (sum, count) => sum + count,
  )
}

describe('a trace that builds on one that is nowhere yet', () => {
  it('K-FLEET is judged once more when its parent has come, also by another after a crash, and though nothing more comes', async () => {
    const { world, parent, traceId, crash } = await orphaned()
    await crash()
    await world.send([spanOf(parent)])
    await world.pass(0)
    await crash()
    await world.pass(MAX_AGE_MS - 2_000)
    expect(world.verdicts().get(traceId)?.verdict).toBe('incomplete')
    await crash()
    for (let n = 0; n < 4; n++) await world.pass(MAX_AGE_MS / 4)
    // What one waits is said by the log and the time since: who takes over waits no shorter, and ends.
    for (let n = 0; n < 4; n++) await world.pass(MAX_AGE_MS / 4)
    const verdict = world.verdicts().get(traceId)
    expect(verdict).toMatchObject({ verdict: 'verified', fleet: { replaces: { verdict: 'incomplete' } } })
  })

  it('K-FLEET is judged once more by another when whoever was about to has died', async () => {
    const { world, parent, traceId, partition, crash } = await orphaned()
    await world.send([spanOf(parent)])
    await world.pass(0)
    await world.pass(1_000)
    world.log.now += MAX_AGE_MS
    world.log.failing = new Unavailable('the broker is away')
    const at = world.judgeAt(partition).position
    const slice = await world.log.read(TOPICS.entries, partition, at)
    await expect(world.judgeAt(partition).take(slice)).rejects.toThrow(Unavailable)
    expect(world.verdicts().get(traceId)?.verdict).toBe('incomplete')
    await crash()
    await world.pass(MAX_AGE_MS)
    expect(world.verdicts().get(traceId)?.verdict).toBe('verified')
  })

  it('K-FLEET waits once: when nothing has come it is said in the log, and whoever begins does not judge it again', async () => {
    const { world, traceId, crash } = await orphaned()
    await world.pass(MAX_AGE_MS)
    expect(world.written()).toHaveLength(1)
    expect(world.verdicts().get(traceId)).toEqual(world.written(TOPICS.verdicts).at(-1)?.verdict)
    const before = records(world)
    world.log.bytesRead.delete(TOPICS.entries)
    for (let n = 0; n < 3; n++) {
      await crash()
      await world.pass(MAX_AGE_MS)
    }
    expect(records(world)).toBe(before)
    // Nor are its spans read again for that.
    expect(world.log.bytesRead.get(TOPICS.entries)).toBe(0)
  })

  it('K-FLEET does not wait any more when more has come of it, and is whole', async () => {
    const { world, parent, child, traceId, crash } = await orphaned()
    const next = world.workloads.payments.make([child], inTrace(2))
    await world.send([spanOf(parent), spanOf(next)])
    await world.pass(0)
    await world.pass(1_000)
    expect(world.verdicts().get(traceId)?.verdict).toBe('verified')
    const before = records(world)
    await world.pass(MAX_AGE_MS)
    await crash()
    await world.pass(MAX_AGE_MS)
    expect(records(world)).toBe(before)
  })

  it('K-FLEET is left as it is when retention took its verdict', async () => {
    const { world, partition } = await orphaned()
    world.log.forget(TOPICS.verdicts, partition, 1)
    await world.pass(MAX_AGE_MS)
    expect(world.written()).toHaveLength(1)
    expect(world.log.all(TOPICS.verdicts, partition)).toEqual([])
  })

  it('K-FLEET is said to be judged no more by itself where too many wait', async () => {
    const { world, parent, traceId } = await orphaned({ maxWaiting: 0 })
    expect(world.found).toMatchObject([
      { code: 'limit', message: expect.stringContaining('too many wait'), times: 1 },
    ])
    await world.send([spanOf(parent)])
    await world.pass(0)
    await world.pass(MAX_AGE_MS)
    expect(world.verdicts().get(traceId)?.verdict).toBe('incomplete')
    const others = [3, 4].map((n) => spanOf(world.workloads.orders.make([parent], inTrace(n))))
    for (const one of others) {
      await world.send([one])
      await world.pass(0)
      await world.pass(1_000)
    }
    const refused = world.found.filter(({ message }) => message.includes('too many wait'))
    expect(new Set(refused.map(({ place }) => place)).size).toBe(refused.length)
  })

  it('K-FLEET of many that have waited some are judged at once, and what settles is judged with the first of them', async () => {
    const world = new World()
    world.log.now = Date.now()
    const { gateway, orders } = world.workloads
    const parent = gateway.make([], inTrace(1))
    // To one partition: ids with the same digits.
    const ids = [...permuted('012345')].map((digits) => digits.padStart(32, '0'))
    expect(ids.length).toBe(720)
    const spans = ids.map((id) => spanOf(orders.make([parent], { labels: { [LABEL.traceId]: id } })))
    await world.send(spans)
    await world.pass(0)
    await world.pass(1_000)
    const { partition } = world.written()[0] as { partition: number }
    const count = (): number => world.log.all(TOPICS.verdicts, partition).length
    expect(count()).toBe(720)
    await world.takeOver(partition, world.judgeAt(partition).position)
    const sound = '555'.padStart(32, '0')
    await world.send([spanOf(gateway.make([], { labels: { [LABEL.traceId]: sound } }))])
    await world.work()
    await world.pass(MAX_AGE_MS)
    expect(world.verdicts().get(sound)?.verdict).toBe('verified')
    expect(count()).toBeLessThanOrEqual(720 + 512 + 1)
    await world.pass(0)
    expect(count()).toBe(2 * 720 + 1)
  })
})

describe('traces that wait', () => {
  it('are all due in time though one was written once more behind those that wait longer', () => {
    const waiting = new WaitingTraces(10)
    waiting.set('a', { sinceMs: 90, untilMs: 100 })
    waiting.set('b', { sinceMs: 40, untilMs: 50 })
    expect(waiting.timesAt(60, 10)).toEqual({ sinceMs: 60, untilMs: 100 })
    expect([...waiting.due(99)]).toEqual([])
    expect([...waiting.due(100)].map(([traceId]) => traceId)).toEqual(['a', 'b'])
  })
})

describe('a trace whose parents were found in another', () => {
  it('K-FLEET has them when more of it comes, however much later', async () => {
    const world = new World()
    world.log.now = Date.now()
    const { gateway, orders, payments } = world.workloads
    const parent = gateway.make([], inTrace(1))
    const child = orders.make([parent], inTrace(2))
    await world.send([spanOf(parent), spanOf(child)])
    await world.pass(0)
    await world.pass(1_000)
    expect(world.verdicts().get(traceOf(child))?.verdict).toBe('verified')
    await world.pass(5 * HOUR_MS)
    await world.send([spanOf(payments.make([child], inTrace(2)))])
    await world.pass(0)
    await world.pass(1_000)
    const verdict = world.verdicts().get(traceOf(child))
    expect(verdict).toMatchObject({ verdict: 'verified', fleet: { replaces: { verdict: 'verified' } } })
    expect(verdict?.entries.map(({ source }) => source).sort()).toEqual(['foreign', 'span', 'span'])
  })
})

function* permuted(digits: string): Generator<string> {
  if (digits.length < 2) yield digits
  else
    for (const [n, digit] of [...digits].entries())
      for (const rest of permuted(digits.slice(0, n) + digits.slice(n + 1))) yield digit + rest
}

describe('a verdict that nobody of the fleet has written so', () => {
  it.each([
    ['positions without end', { positions: [[0, 9e15 - 1]] }],
    ['positions that are none', { positions: [null] }],
    ['an entry that is none', { entries: [null] }],
    ['an entry without its signed text', { entries: [{ hash: 'a'.repeat(64), parent_ids: [] }] }],
    ['a finding that is none', { findings: [7] }],
  ])('K-FLEET stops nobody who judges its trace again: %s', async (_, wrong) => {
    const { world, parent, child, traceId, partition } = await orphaned()
    const { positions, ...members } = { positions: null, ...wrong }
    const verdict = world.verdicts().get(traceId) as VerdictRecord
    const fleet = { ...verdict.fleet }
    const offsets = positions === null ? {} : { positions: { ...fleet.positions, offsets: positions } }
    const value = Buffer.from(JSON.stringify({ ...verdict, ...members, fleet: { ...fleet, ...offsets } }))
    const headers = { 'kest-covered': '0' }
    await world.log.append([{ topic: TOPICS.verdicts, partition, key: traceId, value, headers }])
    await world.takeOver(partition, world.judgeAt(partition).position)
    await world.send([spanOf(parent), spanOf(child)])
    await world.pass(0)
    await world.pass(1_000)
    expect(world.verdicts().get(traceId)?.verdict).toBe('verified')
  })
})
