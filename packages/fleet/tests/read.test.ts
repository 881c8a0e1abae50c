import { type AuditFinding, traceJson } from '@kest/audit'
import { DEFAULT_LIMITS } from '@kest/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DEFECTS, soundTrace } from '../../audit/dist/testing/plant.js'
import { readFindings, readVerdicts } from '../src/index.js'
import type { Log } from '../src/log/log.js'
import { LastOffsets } from '../src/read/last-offsets.js'
import { findingsIn } from '../src/read/read-findings.js'
import { type ReadVerdict, verdictsIn } from '../src/read/read-verdicts.js'
import { comparable, PARTITIONS, TOPICS, WAIT_MS, World } from './support/world.js'

/** Until nothing waits any more. */
const SETTLED = [0, 1_000, 10_000, WAIT_MS, 2_000, WAIT_MS, 2_000]

interface Read {
  readonly verdicts: ReadVerdict[]
  readonly unreadable: string[]
}

async function read(log: Log, seen: (one: ReadVerdict) => Promise<void> = async () => {}): Promise<Read> {
  const unreadable: string[] = []
  const note = ({ code, message, place, times }: AuditFinding): void =>
    void unreadable.push(`${code} ${place} ${times}: ${message}`)
  const verdicts: ReadVerdict[] = []
  for await (const one of verdictsIn(log, { topics: TOPICS, limits: DEFAULT_LIMITS, unreadable: note })) {
    verdicts.push(one)
    await seen(one)
  }
  return { verdicts, unreadable }
}

async function standing(log: Log): Promise<{ found: string[]; unreadable: string[] }> {
  const [found, unreadable]: [string[], string[]] = [[], []]
  const note = ({ place }: AuditFinding): void => void unreadable.push(String(place))
  for await (const { code, message } of findingsIn(log, { topics: TOPICS, unreadable: note }))
    found.push(`${code}: ${message}`)
  return { found: found.sort(), unreadable }
}

/** Judged, with one that was judged twice. */
async function judged(): Promise<{ world: World; traceId: string }> {
  const world = new World()
  const traces = [soundTrace(world.workloads), soundTrace(world.workloads), soundTrace(world.workloads)]
  const [late, ...early] = traces.flatMap(({ spans }) => spans.map(({ span }) => span)).toReversed()
  await world.send(early)
  await world.pass(0)
  await world.pass(1_000)
  await world.send([late as never])
  await world.pass(0)
  await world.pass(1_000)
  return { world, traceId: (traces[2] as { traceId: string }).traceId }
}

async function put(world: World, key: string, value: unknown, partition = 0): Promise<void> {
  const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.from(JSON.stringify(value))
  await world.log.append([{ topic: TOPICS.verdicts, partition, key, value: bytes }])
}

describe('reading the verdicts of a fleet', () => {
  it('K-FLEET says of each trace what an audit of the same spans says, whatever is wrong with it', async () => {
    const world = new World()
    const spans = Object.values(DEFECTS).flatMap((defect, n) =>
      [soundTrace(world.workloads), defect(world.workloads, n)].flatMap((one) =>
        one.spans.map(({ span }) => span),
      ),
    )
    await world.send(spans)
    await world.pass(0)
    await world.pass(1_000)
    const { verdicts, unreadable } = await read(world.log)
    expect(unreadable).toEqual([])
    const expected = await world.audit(spans)
    expect(verdicts.map(({ report }) => report.traceId).sort()).toEqual([...expected.keys()].sort())
    for (const { record, report } of verdicts) {
      const { fleet: _fleet, ...trace } = record
      expect(traceJson(report)).toEqual(trace)
      expect(comparable(traceJson(report))).toEqual(comparable(expected.get(report.traceId) as never))
    }
  })

  it('K-FLEET takes the last of each trace, and none that came after it began', async () => {
    const { world, traceId } = await judged()
    expect(world.written(TOPICS.verdicts)).toHaveLength(4)
    const another = soundTrace(world.workloads)
    let sent = false
    const { verdicts, unreadable } = await read(world.log, async () => {
      if (sent) return
      sent = true
      await world.send(another.spans.map(({ span }) => span))
      await world.pass(0)
      await world.pass(1_000)
    })
    expect(world.verdicts().has(another.traceId)).toBe(true)
    expect(unreadable).toEqual([])
    expect(verdicts).toHaveLength(3)
    expect(verdicts.find(({ key }) => key === traceId)?.record.fleet.replaces).not.toBeNull()
    expect(verdicts.map(({ report }) => report.verdict)).toEqual(['verified', 'verified', 'verified'])
  })

  it('K-FLEET counts records that are no verdicts, each with its place, and shows nothing of them', async () => {
    const { world, traceId } = await judged()
    const good = world.verdicts().get(traceId) as NonNullable<
      ReturnType<ReturnType<World['verdicts']>['get']>
    >
    const other = 'b'.repeat(32)
    await put(world, '', good, 1)
    await put(world, 'a stranger', good, 1)
    await put(world, other, good, 1)
    await put(world, 'c'.repeat(32), '{', 1)
    await put(
      world,
      'd'.repeat(32),
      { ...good, trace_id: 'd'.repeat(32), fleet: { ...good.fleet, format: 'kest-verdict-2' } },
      1,
    )
    await put(
      world,
      'e'.repeat(32),
      { ...good, trace_id: 'e'.repeat(32), fleet: { ...good.fleet, judged_at: 9e15 } },
      1,
    )
    await put(
      world,
      'f'.repeat(32),
      {
        ...good,
        trace_id: 'f'.repeat(32),
        verdict: 'verified',
        entries: good.entries.map((one) => ({ ...one, hash: 'a'.repeat(64) })),
      },
      1,
    )
    await put(
      world,
      '9'.repeat(32),
      {
        ...good,
        trace_id: '9'.repeat(32),
        fleet: { ...good.fleet, positions: { ...good.fleet.positions, offsets: [[3, 1]] } },
      },
      1,
    )
    await put(world, '8'.repeat(32), { ...good, trace_id: '8'.repeat(32), entries_omitted: 0 }, 1)
    const { verdicts, unreadable } = await read(world.log)
    expect(verdicts).toHaveLength(3)
    const first = world.log.all(TOPICS.verdicts, 1).length - 9
    expect(unreadable.map((text) => text.split(' ', 2).join(' ')).sort()).toEqual(
      Array.from({ length: 9 }, (_, n) => `unreadable ${TOPICS.verdicts}/1:${first + n}`).sort(),
    )
    expect(unreadable.join('\n')).toMatch(
      /key is that of no trace.*key is that of another trace.*that of its signature/s,
    )
  })

  it('K-FLEET has nothing of a trace whose verdict was taken away, and the last of one that is none hides it and is said', async () => {
    const { world, traceId } = await judged()
    const partition = world.written(TOPICS.verdicts).find(({ key }) => key === traceId)?.partition as number
    await put(world, traceId, { verdict: 'verified' }, partition)
    const hidden = await read(world.log)
    expect(hidden.verdicts).toHaveLength(2)
    expect(hidden.unreadable).toHaveLength(1)
    const gone = world.log.all(TOPICS.verdicts, partition).length
    await world.log.append([{ topic: TOPICS.verdicts, partition, key: traceId, value: null as never }])
    expect(world.log.all(TOPICS.verdicts, partition)).toHaveLength(gone + 1)
    expect(await read(world.log)).toMatchObject({ verdicts: [{}, {}], unreadable: [] })
  })

  it('K-FLEET says what was gone before it was read, because a newer one had come', async () => {
    const { world } = await judged()
    const [partition, count] = Array.from({ length: PARTITIONS }, (_, n): [number, number] => [
      n,
      new Set(world.log.all(TOPICS.verdicts, n).map(({ key }) => key)).size,
    ]).find(([, all]) => all > 0) as [number, number]
    let asked = 0
    const log: Log = Object.assign(Object.create(world.log) as Log, {
      partitions: (topic: string) => world.log.partitions(topic),
      // First where all partitions end, then where each pass begins.
      bounds: async (topic: string, of: number) => {
        if (of === partition && ++asked === 3)
          world.log.forget(topic, of, (world.log.all(topic, of).at(-1)?.offset as number) + 1)
        return await world.log.bounds(topic, of)
      },
      read: (topic: string, of: number, from: number) => world.log.read(topic, of, from),
    })
    const { verdicts, unreadable } = await read(log)
    expect(verdicts).toHaveLength(3 - count)
    expect(unreadable).toEqual([
      `unreadable ${TOPICS.verdicts}/${partition} ${count}: verdicts were gone before they were read: newer ones came meanwhile, or retention took them`,
    ])
  })

  it('K-FLEET has of findings those that stand, and says which are none', async () => {
    const world = new World()
    const traces = [soundTrace(world.workloads), soundTrace(world.workloads), soundTrace(world.workloads)]
    const [first, second, third] = traces.map(({ spans }) => spans.map(({ span }) => span)) as [
      never[],
      never[],
      never[],
    ]
    await world.send(first)
    await world.send(third)
    for (const ms of SETTLED) await world.pass(ms)
    const gaps = await standing(world.log)
    expect(gaps.found.length).toBeGreaterThan(0)
    expect(gaps.found).toEqual(world.standing())
    await world.send(second)
    for (const ms of SETTLED) await world.pass(ms)
    const none = ['{', JSON.stringify({ code: 'silent' })]
    await world.log.append(
      none.map((value) => ({ topic: TOPICS.findings, partition: 0, key: 'a', value: Buffer.from(value) })),
    )
    const { found, unreadable } = await standing(world.log)
    expect(found).toEqual([])
    const end = world.log.all(TOPICS.findings, 0).length
    expect(unreadable).toEqual([`${TOPICS.findings}/0:${end - 2}`, `${TOPICS.findings}/0:${end - 1}`])
  })

  it('K-FLEET has each record that could not be read, also where the same is said of many', async () => {
    const world = new World()
    const sound = soundTrace(world.workloads)
    await world.send(sound.spans.map(({ span }) => span))
    await world.sendBytes('{"resourceSpans": 3}')
    await world.sendBytes('{"resourceSpans": 3}')
    const strange = { topic: TOPICS.entries, partition: 0, key: 'a stranger', value: Buffer.from('{}') }
    for (let n = 0; n < 2; n++) {
      await world.log.append([strange])
      await world.pass(0)
    }
    const { found } = await standing(world.log)
    expect(found.filter((text) => text.includes('are not of this fleet'))).toHaveLength(2)
    expect(found.filter((text) => text.startsWith('unreadable'))).toHaveLength(4)
  })

  it.each([readVerdicts, readFindings])(
    '%o takes no option that it does not know, nor is silent',
    (reader) => {
      const kafka = { brokers: ['127.0.0.1:1'] }
      const onUnreadable = (): void => {}
      for (const options of [
        { kafka, onUnreadable, group: 'any' },
        { kafka },
        { kafka, onUnreadable, prefix: 'a b' },
        { kafka: { brokers: [] }, onUnreadable },
        { kafka, onUnreadable, limits: { entryByte: 1 } },
      ])
        expect(() => reader(options as never)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    },
  )
})

describe('where the last of each key lies', () => {
  it('is what a map says', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 2 }), { maxLength: 3_000 }), (keys) => {
        const [table, map] = [new LastOffsets(), new Map<string, number>()]
        for (const [offset, key] of keys.entries()) {
          table.set(key, offset)
          map.set(key, offset)
        }
        expect(table.size).toBe(map.size)
        for (const [offset, key] of keys.entries())
          expect(table.isLast(key, offset)).toBe(map.get(key) === offset)
        expect(table.isLast('never', 0)).toBe(false)
      }),
      { numRuns: 20 },
    )
  })
})
