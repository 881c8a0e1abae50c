import { type EntryKey, entryKey } from '@kest/audit'
import { LABEL } from '@kest/core'
import { describe, expect, it } from 'vitest'
import type { MadeEntry } from '../../audit/dist/testing/make-entry.js'
import { spanOf } from '../../audit/dist/testing/make-span.js'
import { EntryIndex } from '../src/judge/entry-index.js'
import { FollowedPartition } from '../src/judge/followed-partition.js'
import { Unavailable } from '../src/log/log.js'
import { slicesOf } from '../src/log/slices.js'
import { MemoryLog } from '../src/testing/memory-log.js'
import { comparable, PARTITIONS, TOPICS, World } from './support/world.js'

const HOUR_MS = 3_600_000

function inTrace(n: number): { labels: Record<string, string> } {
  return { labels: { [LABEL.traceId]: n.toString(16).padStart(32, '0') } }
}

function sizeOf(world: World, topic: string): number {
  const records = Array.from({ length: PARTITIONS }, (_, n) => world.log.all(topic, n)).flat()
  return records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
}

function keyOf(hash: string): EntryKey {
  return entryKey(hash) as EntryKey
}

describe('entries of other traces', () => {
  it('K-FLEET are read once, however often traces lack a parent', async () => {
    const world = new World({ settling: { maxAgeMs: HOUR_MS } })
    const { gateway, orders } = world.workloads
    for (let n = 1; n <= 20; n++) {
      await world.send([spanOf(orders.make([gateway.make([], inTrace(n))], inTrace(n)))])
      await world.pass(0)
      await world.pass(1_000)
    }
    expect(world.written().map(({ verdict }) => verdict.verdict)).toEqual(Array(20).fill('incomplete'))
    // By whoever judges them, and by whoever looks for their parents.
    expect(world.log.bytesRead.get(TOPICS.entries)).toBeLessThanOrEqual(2 * sizeOf(world, TOPICS.entries))
  })

  it('K-FLEET are found as an audit of the same spans finds them, one after the other and all in one trace', async () => {
    const world = new World()
    const { gateway, orders } = world.workloads
    const long: MadeEntry[] = [gateway.make([], inTrace(1))]
    for (let n = 1; n < 40; n++) long.push(orders.make([long[n - 1] as MadeEntry], inTrace(1)))
    const many: MadeEntry[] = [orders.make([long[39] as MadeEntry], inTrace(2))]
    for (let n = 1; n < 6; n++) many.push(gateway.make([many[n - 1] as MadeEntry], inTrace(2 + n)))
    const spans = [...long, ...many].map((made) => spanOf(made))
    await world.send(spans)
    await world.pass(0)
    await world.pass(1_000)
    const [expected, found] = [await world.audit(spans), world.verdicts()]
    expect(expected.size).toBe(7)
    for (const [traceId, trace] of expected)
      expect(comparable(found.get(traceId as string) as never)).toEqual(comparable(trace))
  })

  it.each([
    { bound: 'reading', index: { credit: 0 } },
    { bound: 'memory', index: { maxTables: 1 } },
  ])(
    'K-FLEET are not said to be missing when there was no $bound left to look for them',
    async ({ index }) => {
      const world = new World({ index })
      const { gateway, orders, payments } = world.workloads
      const parents = [1, 2, 3, 4].map((n) => gateway.make([], inTrace(n)))
      const children = parents.map((parent, n) => orders.make([parent], inTrace(0x10 + n)))
      const sound = payments.make([], inTrace(0x20))
      await world.send([...parents, ...children, sound].map((made) => spanOf(made)))
      await world.pass(0)
      await world.pass(1_000)
      const found = world.verdicts()
      expect(found.get('20'.padStart(32, '0'))?.verdict).toBe('verified')
      const ofChildren = children.map(({ entry }) => found.get(entry.labels[LABEL.traceId] as string))
      const unsought = ofChildren.filter((one) => one?.verdict === 'incomplete')
      expect(unsought.length).toBeGreaterThan(0)
      for (const one of unsought)
        expect(one?.findings).toMatchObject([
          { code: 'limit', message: expect.stringContaining('was not looked for') },
        ])
      for (const one of ofChildren) expect(['incomplete', 'verified']).toContain(one?.verdict)
    },
  )

  it('K-FLEET that come before those of who asks first are read when somebody asks for them', async () => {
    const world = new World()
    const { gateway } = world.workloads
    const made = Array.from({ length: 30 }, (_, n) => gateway.make([], inTrace(n)))
    for (const one of made) {
      world.log.now += 1_000
      await world.send([spanOf(one)])
      await world.work()
    }
    const partition = [0, 1, 2, 3].find((n) => world.log.all(TOPICS.entries, n).length > 5) as number
    const records = world.log.all(TOPICS.entries, partition)
    const hashes = new Map(made.map(({ entry, hash }) => [entry.labels[LABEL.traceId], hash]))
    const followed = new FollowedPartition(world.log, TOPICS.entries, partition)
    const known = (): number[] =>
      records
        .map(({ offset }) => offset)
        .filter((n) => {
          const [at] = followed.find(keyOf(hashes.get(records[n]?.key as string) as string))
          return at === n
        })
    const timeOf = (n: number): number => records[n]?.timestampMs as number
    const last = records.length - 1
    world.log.bytesRead.clear()
    await followed.follow(timeOf(last - 1), timeOf(last), 0, () => {})
    expect(known()).toEqual([last - 1, last])
    await followed.follow(timeOf(1), timeOf(last), 0, () => {})
    expect(known()).toEqual(Array.from({ length: last }, (_, n) => n + 1))
    followed.drop(false)
    expect(followed.isWhole(timeOf(1))).toBe(true)
    followed.drop(true)
    expect([followed.tables, known()]).toEqual([0, []])
    expect([followed.isWhole(timeOf(last)), followed.isWhole(timeOf(last) + 1)]).toEqual([false, true])
  })

  /** Six entries, one a second. */
  async function ofSixSeconds(): Promise<{ log: MemoryLog; made: MadeEntry[] }> {
    const log = new MemoryLog({ entries: 1 }, 2)
    const world = new World()
    const made = [1, 2, 3, 4, 5, 6].map((n) => world.workloads.gateway.make([], inTrace(n)))
    for (const { jws } of made) {
      log.now += 1_000
      const span = { name: 'x', traceId: null, spanId: null, service: null, receivedAt: null }
      const value = { ...span, place: { file: 'x', line: 1 }, claims: { signature: jws } }
      await log.append([{ topic: 'entries', key: 'x', value: Buffer.from(JSON.stringify(value)) }])
    }
    return { log, made }
  }

  it('K-FLEET are not taken for read where a broker answers nothing of what is there', async () => {
    const { log, made } = await ofSixSeconds()
    const followed = new FollowedPartition(log, 'entries', 0)
    const known = (): number[] => made.flatMap(({ hash }) => [...followed.find(keyOf(hash))])
    await followed.follow(4_000, 4_000, 0, () => {})
    // What is older, and what came since.
    for (const [sinceMs, untilMs] of [
      [1_000, 4_000],
      [4_000, 9_000],
    ] as const) {
      log.unanswered = 1
      await expect(followed.follow(sinceMs, untilMs, 0, () => {})).rejects.toThrow(Unavailable)
    }
    await followed.follow(1_000, 9_000, 0, () => {})
    expect(known()).toEqual([0, 1, 2, 3, 4, 5])
    for (const from of [0, 3]) {
      log.unanswered = 1
      await expect(slicesOf(log, 'entries', 0, from).next()).rejects.toThrow(Unavailable)
    }
    const index = new EntryIndex({ log, topic: 'entries' })
    const search = index.search(0, 9_000)
    const read = async (): Promise<number> => {
      let found = 0
      for await (const _ of search.entries(made.map(({ hash }) => hash))) found++
      return found
    }
    expect(await read()).toBe(6)
    log.unanswered = 1
    await expect(read()).rejects.toThrow(Unavailable)
  })

  it('K-FLEET of a time that nobody asked for are not read, and those that retention took are passed over', async () => {
    const { log, made } = await ofSixSeconds()
    const followed = new FollowedPartition(log, 'entries', 0)
    const known = (): number[] => made.flatMap(({ hash }) => [...followed.find(keyOf(hash))])
    await followed.follow(0, 1_000, 0, () => {})
    expect(known()).toEqual([0, 1])
    const read = log.bytesRead.get('entries')
    await followed.follow(0, 2_000, 0, () => {})
    expect([known(), log.bytesRead.get('entries')]).toEqual([[0, 1], read])
    log.forget('entries', 0, 4)
    await followed.follow(0, 9_000, 0, () => {})
    expect(known()).toEqual([0, 1, 4, 5])
  })
})
