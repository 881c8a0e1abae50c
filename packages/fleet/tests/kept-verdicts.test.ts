import { ATTRIBUTE, DEFAULT_LIMITS, LABEL } from '@kest/core'
import { describe, expect, it } from 'vitest'
import type { MadeEntry } from '../../audit/dist/testing/make-entry.js'
import { type OtlpSpan, spanOf } from '../../audit/dist/testing/make-span.js'
import { DEFECTS, soundTrace } from '../../audit/dist/testing/plant.js'
import { isGrave } from '../src/judge/verdict-record.js'
import { Fenced, type LogRecord, Unavailable } from '../src/log/log.js'
import { verdictsIn } from '../src/read/read-verdicts.js'
import { TOPICS, World } from './support/world.js'

const DAY_MS = 86_400_000
const SPANS_MS = 7 * DAY_MS
const VERDICTS_MS = 14 * DAY_MS
/** More often than verdicts are looked through. */
const STEP_MS = VERDICTS_MS / 32

/** A trace whose second entry does not hold, without its root, which is valid and comes late. */
interface Broken {
  readonly world: World
  readonly root: MadeEntry
  readonly traceId: string
  readonly partition: number
  /** Of its partition, what there is of it. */
  records(): LogRecord[]
}

function traceOf({ entry }: MadeEntry): string {
  return entry.labels[LABEL.traceId] as string
}

function spoiled(made: MadeEntry): OtlpSpan {
  const span = spanOf(made)
  const at = made.jws.lastIndexOf('.') + 1
  span.attributes[ATTRIBUTE.signature] =
    `${made.jws.slice(0, at)}${made.jws[at] === 'A' ? 'B' : 'A'}${made.jws.slice(at + 1)}`
  return span
}

function withRetention(world: World): World {
  world.log.now = Date.now()
  world.log.retention.set(TOPICS.entries, SPANS_MS)
  world.log.retention.set(TOPICS.verdicts, VERDICTS_MS)
  return world
}

async function judge(world: World, spans: readonly OtlpSpan[]): Promise<void> {
  await world.send(spans)
  await world.pass(0)
  await world.pass(1_000)
}

async function broken(world = withRetention(new World())): Promise<Broken> {
  const root = world.workloads.gateway.make([])
  await judge(world, [spoiled(world.workloads.orders.make([root]))])
  const [first] = world.written()
  expect(first?.verdict.verdict).toBe('broken')
  const { key: traceId, partition } = first as { key: string; partition: number }
  expect(traceId).toBe(traceOf(root))
  const records = (): LogRecord[] => world.log.all(TOPICS.verdicts, partition)
  return { world, root, traceId, partition, records }
}

/** Time passes, and retention takes what it takes. */
async function pass(world: World, ms: number, stepMs = STEP_MS): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    world.log.expire()
    await world.pass(Math.min(left, stepMs))
  }
  world.log.expire()
}

/** Nobody is at work meanwhile. */
function stand(world: World, ms: number): void {
  world.log.now += ms
  world.log.expire()
}

function sameBut({ key, value, headers }: LogRecord): object {
  return { key, value: value?.toString(), headers: [...headers] }
}

describe('verdicts whose topic keeps them for a time', () => {
  it('K-FLEET stay broken when a valid root comes late, ten retentions after they were judged, and the record is what it was', async () => {
    const { world, root, traceId, records } = await broken()
    const [before] = records().map(sameBut)
    await pass(world, 10 * VERDICTS_MS)
    expect(records().map(sameBut).at(-1)).toEqual(before)
    // In the log of all verdicts it is once.
    expect(world.written()).toHaveLength(1)
    await judge(world, [spanOf(root)])
    const verdict = world.verdicts().get(traceId)
    expect(verdict).toMatchObject({
      verdict: 'broken',
      fleet: { partial: true, replaces: { verdict: 'broken' } },
    })
    expect(verdict?.entries.map(({ hash }) => hash)).toContain(root.hash)
    expect(verdict?.findings.map(({ code }) => code)).toContain('broken')
  })

  it('K-FLEET outlive it where they are grave, whatever is wrong, and go with it where nothing is', async () => {
    const world = withRetention(new World())
    const planted = Object.values(DEFECTS).map((defect, n) => defect(world.workloads, n))
    const sound = Array.from({ length: 5 }, () => soundTrace(world.workloads))
    const untraced = spoiled(world.workloads.gateway.make([], { labels: { [LABEL.traceId]: undefined } }))
    await judge(world, [
      ...[...planted, ...sound].flatMap((one) => one.spans.map(({ span }) => span)),
      untraced,
    ])
    // What waits is judged once more.
    await world.pass(10_000)
    const before = world.verdicts()
    const traced = [...before].filter(([key]) => /^[0-9a-f]{32}$/.test(key))
    expect(traced).toHaveLength(before.size - 1)
    const grave = traced.filter(([, verdict]) => isGrave(verdict))
    const kinds = new Set(grave.map(([, { verdict }]) => verdict))
    // Of `verified`, those that have a finding of an error.
    expect([...kinds].sort()).toEqual(['broken', 'incomplete', 'verified'])
    expect(traced.length - grave.length).toBeGreaterThanOrEqual(sound.length)
    const said = world.written().length
    await pass(world, 2 * VERDICTS_MS)
    expect(world.written()).toHaveLength(said)
    const read: [string, object][] = []
    const unreadable = (one: unknown): never => expect.unreachable(JSON.stringify(one))
    for await (const { key, record } of verdictsIn(world.log, {
      topics: TOPICS,
      limits: DEFAULT_LIMITS,
      unreadable,
    }))
      read.push([key, record])
    expect(read).toHaveLength(grave.length)
    expect(new Map(read)).toEqual(new Map(grave))
  })

  it('K-FLEET are written four times in a retention, and otherwise neither read nor written', async () => {
    const { world, records } = await broken()
    await pass(world, VERDICTS_MS / 4 - DAY_MS)
    expect(records()).toHaveLength(1)
    world.log.bytesRead.delete(TOPICS.verdicts)
    await pass(world, DAY_MS / 2)
    expect(world.log.bytesRead.get(TOPICS.verdicts)).toBeUndefined()
    await pass(world, DAY_MS * 1.5)
    expect(records()).toHaveLength(2)
    const from = records().at(-1)?.offset as number
    await pass(world, VERDICTS_MS)
    const written = (records().at(-1)?.offset as number) - from
    expect(written).toBeGreaterThanOrEqual(3)
    expect(written).toBeLessThanOrEqual(4)
  })

  it('K-FLEET are there still when nobody was at work for half of it', async () => {
    const { world, root, traceId, partition } = await broken()
    for (let n = 0; n < 6; n++) {
      await pass(world, VERDICTS_MS / 3)
      stand(world, VERDICTS_MS / 2)
      await world.takeOver(partition, world.judgeAt(partition).position)
    }
    await judge(world, [spanOf(root)])
    expect(world.verdicts().get(traceId)?.verdict).toBe('broken')
  })

  it('K-FLEET are not written where it keeps them for ever', async () => {
    const { world, records } = await broken()
    world.log.retention.delete(TOPICS.verdicts)
    world.log.bytesRead.delete(TOPICS.verdicts)
    await pass(world, 3 * VERDICTS_MS)
    expect(records()).toHaveLength(1)
    expect(world.log.bytesRead.get(TOPICS.verdicts)).toBeUndefined()
    // From when it does not, they are.
    world.log.retention.set(TOPICS.verdicts, 8 * VERDICTS_MS)
    await world.pass(DAY_MS)
    expect(records()).toHaveLength(2)
  })

  it('K-FLEET are read some at a time: what settles meanwhile is judged, and who takes over leaves none out and writes none twice', async () => {
    const { world, keys, partition, records } = await brokenMany(450)
    const again = (): number => records().length - keys.length
    world.log.now += VERDICTS_MS / 3
    await world.pass(0)
    expect(again()).toBe(100)
    const sound = '555'.padStart(32, '0')
    await world.send([spanOf(world.workloads.gateway.make([], { labels: { [LABEL.traceId]: sound } }))])
    await world.pass(0)
    await world.pass(1_000)
    expect(world.verdicts().get(sound)?.verdict).toBe('verified')
    expect(again()).toBeLessThan(keys.length)
    const at = world.judgeAt(partition).position
    const old = (await world.takeOver(partition, at)) as ReturnType<World['judgeAt']>
    await expect(old.take(await world.log.read(TOPICS.entries, partition, at))).rejects.toThrow(Fenced)
    for (let n = 0; n < 20; n++) await world.pass(0)
    expect(
      records()
        .slice(keys.length)
        .map(({ key }) => key)
        .sort(),
    ).toEqual([...keys, sound].sort())
  })

  it.each([
    { taken: 'were not', fail: 'failing', first: 0 },
    { taken: 'were, and nobody said so,', fail: 'unheard', first: 100 },
  ] as const)(
    'K-FLEET are written once where they $taken taken before a worker failed',
    async ({ fail, first }) => {
      const { world, keys, partition, records } = await brokenMany(150)
      world.log.now += VERDICTS_MS / 3
      const known = world.knowing()
      const at = world.judgeAt(partition).position
      const slice = await world.log.read(TOPICS.entries, partition, at)
      const worker = await world.judge(partition, at, known)
      world.log[fail] = new Unavailable('the broker is away')
      await expect(worker.take(slice)).rejects.toThrow(Unavailable)
      expect(records().length - keys.length).toBe(first)
      const next = await world.judge(partition, at, known)
      for (let n = 0; n < 20; n++) await next.take(slice)
      const written = records().slice(keys.length)
      expect(written.map(({ key }) => key).sort()).toEqual([...keys].sort())
      expect(written.map(({ key }) => known.get(key as string)?.verdict)).toEqual(
        written.map(({ offset }) => offset),
      )
    },
  )

  it('K-FLEET are written as they were judged last', async () => {
    const { world, root, traceId, records } = await broken()
    await pass(world, VERDICTS_MS / 8)
    await judge(world, [spanOf(root)])
    const [, last] = records().map(sameBut)
    await pass(world, VERDICTS_MS / 2)
    const own = records().filter(({ key }) => key === traceId)
    expect(own).toHaveLength(3)
    expect(own.slice(1).map(sameBut)).toEqual([last, last])
  })

  it('K-FLEET are said to be gone where retention was faster', async () => {
    const { world, keys, partition } = await brokenMany(320)
    world.log.now += VERDICTS_MS / 3
    await world.pass(0)
    world.log.forget(TOPICS.verdicts, partition, 300)
    for (let n = 0; n < 20; n++) await world.pass(0)
    const place = `${TOPICS.verdicts}/${partition}`
    expect(world.found).toMatchObject([{ code: 'limit', key: place, place, times: 200 }])
    expect(world.standing()).toEqual([expect.stringMatching(/^limit: .*gone before/)])
    expect(world.log.all(TOPICS.verdicts, partition)).toHaveLength(keys.length - 300 + keys.length - 200)
  })

  it('K-FLEET take no more of a trace of which no more was taken', async () => {
    const world = withRetention(new World({ maxTraceSpans: 1 }))
    const root = world.workloads.gateway.make([])
    const second = world.workloads.orders.make([root])
    await judge(world, [spanOf(root), spanOf(second)])
    const [full] = world.written()
    expect(full?.verdict.findings.map(({ code }) => code)).toContain('limit')
    await pass(world, 2 * VERDICTS_MS)
    await judge(world, [spanOf(world.workloads.payments.make([second]))])
    expect(world.written()).toHaveLength(1)
    expect(world.verdicts(TOPICS.verdicts).get(traceOf(root))).toEqual(full?.verdict)
  })

  it('K-FLEET wait on for what their traces build on, whoever judges them by then', async () => {
    const world = new World()
    world.log.now = Date.now()
    world.log.retention.set(TOPICS.verdicts, 20_000)
    const parent = world.workloads.gateway.make([])
    const child = world.workloads.orders.make([parent], { labels: { [LABEL.traceId]: '1'.repeat(32) } })
    await judge(world, [spanOf(child)])
    const { partition } = world.written()[0] as { partition: number }
    for (let n = 0; n < 7; n++) await world.pass(1_000)
    expect(world.log.all(TOPICS.verdicts, partition)).toHaveLength(2)
    await world.takeOver(partition, world.judgeAt(partition).position)
    await world.send([spanOf(parent)])
    for (let n = 0; n < 4; n++) await world.pass(1_000)
    await world.pass(10_000)
    expect(world.verdicts().get(traceOf(child))?.verdict).toBe('verified')
  })
})

/** In one partition, more than are read at once. */
async function brokenMany(count: number) {
  const world = withRetention(new World())
  const keys = [...permuted('012345')].slice(0, count).map((digits) => digits.padStart(32, '0'))
  await judge(
    world,
    keys.map((id) => spoiled(world.workloads.gateway.make([], { labels: { [LABEL.traceId]: id } }))),
  )
  const { partition } = world.written()[0] as { partition: number }
  const records = (): LogRecord[] => world.log.all(TOPICS.verdicts, partition)
  expect(records()).toHaveLength(keys.length)
  return { world, keys, partition, records }
}

function* permuted(digits: string): Generator<string> {
  if (digits.length < 2) yield digits
  else
    for (const [n, digit] of [...digits].entries())
      for (const rest of permuted(digits.slice(0, n) + digits.slice(n + 1))) yield digit + rest
}
