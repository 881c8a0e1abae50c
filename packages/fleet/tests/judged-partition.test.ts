import { randomBytes } from 'node:crypto'
import { IdTable } from '@kest/audit'
import { LABEL } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { type OtlpSpan, spanOf } from '../../audit/dist/testing/make-span.js'
import { PARTITIONS, TOPICS, World } from './support/world.js'

const HOUR_MS = 3_600_000

/** A trace of one entry. */
function sound(world: World, n: number): OtlpSpan {
  return spanOf(
    world.workloads.gateway.make([], { labels: { [LABEL.traceId]: n.toString(16).padStart(32, '0') } }),
  )
}

async function judged(world: World, ...spans: readonly OtlpSpan[]): Promise<void> {
  await world.send(spans)
  await world.pass(0)
  await world.pass(1_000)
}

describe('what is known of verdicts', () => {
  it('K-FLEET is read once in a process, however often a worker fails, and what another has written meanwhile is read then', async () => {
    const world = new World()
    await judged(world, ...Array.from({ length: 40 }, (_, n) => sound(world, n)))
    const partition = world.written()[0]?.partition as number
    const count = world.log.all(TOPICS.verdicts, partition).length
    const known = world.knowing()
    const at = world.judgeAt(partition).position
    await world.judge(partition, at, known)
    expect(known.size).toBe(count)
    world.log.bytesRead.delete(TOPICS.verdicts)
    await world.judge(partition, at, known)
    expect(world.log.bytesRead.get(TOPICS.verdicts)).toBeUndefined()
    // Another has it for a while.
    await world.takeOver(partition, at)
    const more = Array.from({ length: 40 }, (_, n) => sound(world, 0x100 + n))
    await judged(world, ...more)
    const written = world.log.all(TOPICS.verdicts, partition).slice(count)
    expect(written.length).toBeGreaterThan(0)
    world.log.bytesRead.delete(TOPICS.verdicts)
    const worker = await world.judge(partition, 0, known)
    expect(known.size).toBe(count + written.length)
    const bytes = written.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
    expect(world.log.bytesRead.get(TOPICS.verdicts)).toBe(bytes)
    // Nothing is judged that one of them has judged.
    await worker.take(await world.log.read(TOPICS.entries, partition, 0))
    expect(worker.open).toBe(0)
  })

  it('K-FLEET is forgotten with what retention takes, also while somebody is at work', async () => {
    const world = new World()
    await judged(world, ...Array.from({ length: 40 }, (_, n) => sound(world, n)))
    const partition = world.written()[0]?.partition as number
    const count = world.log.all(TOPICS.verdicts, partition).length
    const known = world.knowing()
    const worker = await world.judge(partition, world.judgeAt(partition).position, known)
    const keys = world.log.all(TOPICS.verdicts, partition).map(({ key }) => key as string)
    world.log.forget(TOPICS.verdicts, partition, 3)
    world.log.now += HOUR_MS
    await worker.take(await world.log.read(TOPICS.entries, partition, worker.position))
    expect(known.size).toBe(count - 3)
    expect(keys.map((key) => known.get(key)?.verdict)).toEqual(keys.map((_, n) => (n < 3 ? undefined : n)))
  })

  it('K-FLEET is not read on by who has lost the partition', async () => {
    const world = new World()
    await judged(world, ...Array.from({ length: 40 }, (_, n) => sound(world, n)))
    const stopped = AbortSignal.abort(new Error('another has it'))
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const known = world.knowing()
      const opening = world.judge(partition, 0, known, stopped)
      if (world.log.all(TOPICS.verdicts, partition).length > 0)
        await expect(opening).rejects.toThrow('another has it')
      expect(known.size).toBe(0)
    }
  })
})

describe('a table of ids', () => {
  it('knows each, the last of one that was told of twice, and forgets those that lie before an offset', () => {
    const table = new IdTable()
    const ids = Array.from({ length: 20_000 }, () => randomBytes(16).toString('hex'))
    for (const [n, id] of ids.entries()) table.set(id, { offset: n, mark: n / 2 })
    table.set(ids[0] as string, { offset: 30_000, mark: Number.POSITIVE_INFINITY })
    for (const id of ['', 'x'.repeat(32), (ids[1] as string).toUpperCase().replace(/^./, 'G')])
      table.set(id, { offset: 1, mark: 1 })
    expect(table.size).toBe(20_000)
    table.forget(15_000)
    expect(table.size).toBe(5_001)
    const wrong = ids.findIndex((id, n) => {
      const offset = n === 0 ? 30_000 : n < 15_000 ? undefined : n
      return table.get(id)?.offset !== offset
    })
    expect(wrong).toBe(-1)
    expect(table.get(ids[19_999] as string)).toEqual({ offset: 19_999, mark: 9_999.5 })
    table.forget(40_000)
    expect([table.size, table.get(ids[0] as string)]).toEqual([0, undefined])
  })
})
