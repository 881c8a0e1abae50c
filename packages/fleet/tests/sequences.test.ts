import { LABEL } from '@kest/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type EntryClaim, type MadeEntry, makeEntry } from '../../audit/dist/testing/make-entry.js'
import { spanOf } from '../../audit/dist/testing/make-span.js'
import { DEFECTS, soundTrace } from '../../audit/dist/testing/plant.js'
import { Fenced } from '../src/log/log.js'
import { TOPICS, WAIT_MS, World, type WorldOptions } from './support/world.js'

const PROCESS = '3f2b8c1e-0000-4000-8000-000000000001'
type Name = 'gateway' | 'orders' | 'payments'

/** A trace of one entry, with a number. */
function numbered(
  world: World,
  name: Name,
  number: number,
  claim: EntryClaim = {},
  process = PROCESS,
): MadeEntry {
  return makeEntry(world.workloads[name].signer, [], {
    ...claim,
    labels: { [LABEL.seq]: `${process}:${number}`, ...claim.labels },
  })
}

async function sendAll(world: World, made: readonly MadeEntry[]): Promise<void> {
  for (const one of made) await world.send([spanOf(one)])
}

/** Until nothing waits any more. */
async function settle(world: World): Promise<void> {
  for (const ms of [0, 1_000, 10_000, WAIT_MS, 2_000, WAIT_MS, 2_000]) await world.pass(ms)
}

/** All over traces that `kest audit` says of the same. */
async function ofFiles(world: World, made: readonly MadeEntry[]): Promise<string[]> {
  const { general } = await world.auditAll(made.map((one) => spanOf(one)))
  return general
    .filter(({ code }) => code !== 'root')
    .map(({ code, message }) => `${code}: ${message}`)
    .sort()
}

describe('what a fleet finds over all traces', () => {
  it('K-FLEET is what an audit of the same spans finds, whatever is wrong with them', async () => {
    const world = new World()
    const planted = Object.values(DEFECTS).flatMap((defect, n) => [
      soundTrace(world.workloads),
      defect(world.workloads, n),
    ])
    const spans = planted.flatMap((one) => one.spans.map(({ span }) => span))
    for (const [n, span] of spans.entries()) await world.send([span], n % 2)
    await settle(world)
    const { general } = await world.auditAll(spans)
    const kindOf = ({ code, message }: { code: string; message: string }): string =>
      // Which of two entries came first depends on the order.
      code === 'entry-id-repeated' ? code : `${code}: ${message}`
    const expected = general.filter(({ code }) => code !== 'root' && code !== 'revision-repeated').map(kindOf)
    expect(expected.length).toBeGreaterThan(8)
    const standing = world
      .standing()
      .map((text) => (text.startsWith('entry-id-repeated') ? 'entry-id-repeated' : text))
    expect(standing).toEqual(expected.sort())
  })

  it('K-FLEET withdraws a gap when the missing number comes, and says what is left of it', async () => {
    const world = new World()
    const made = [1, 2, 3, 4, 5].map((n) => numbered(world, 'gateway', n))
    const [first, second, third, fourth, fifth] = made as [
      MadeEntry,
      MadeEntry,
      MadeEntry,
      MadeEntry,
      MadeEntry,
    ]
    await sendAll(world, [first, fifth])
    await settle(world)
    expect(world.standing()).toEqual([expect.stringContaining('numbers 2 to 4 are missing')])
    await sendAll(world, [third])
    await settle(world)
    expect(world.standing()).toEqual([
      expect.stringContaining('number 2 is missing'),
      expect.stringContaining('number 4 is missing'),
    ])
    await sendAll(world, [second, fourth])
    await settle(world)
    expect(world.standing()).toEqual([])
    const said = world.general.map(({ key, code, withdrawn }) => [key, code, withdrawn])
    expect(new Set(said.map(([key]) => key))).toEqual(new Set([`process:${PROCESS}`]))
    expect(said.filter(([, , withdrawn]) => withdrawn)).toHaveLength(3)
  })

  it('K-FLEET waits for a number as long as it may be on its way', async () => {
    const world = new World()
    await sendAll(
      world,
      [1, 3].map((n) => numbered(world, 'gateway', n)),
    )
    await world.pass(0)
    await world.pass(1_000)
    await world.pass(WAIT_MS - 1)
    await world.pass(0)
    expect(world.general).toEqual([])
    await sendAll(world, [numbered(world, 'gateway', 2)])
    await settle(world)
    expect(world.general).toEqual([])
  })

  it('K-FLEET bounds a number that jumps by a billion, and goes on', async () => {
    const world = new World()
    const made = [1, 2, 1_000_000_002, 1_000_000_003, 10 ** 14].map((n) => numbered(world, 'gateway', n))
    await sendAll(world, made)
    await settle(world)
    expect(world.standing()).toEqual(await ofFiles(world, made))
    expect(world.standing()).toContainEqual(expect.stringContaining('numbers 3 to 1000000001 are missing'))
  })

  it('K-FLEET finds a number, and an entry_id, of two entries of two traces once', async () => {
    const world = new World()
    const first = numbered(world, 'gateway', 1)
    const again = numbered(world, 'gateway', 1)
    const other = numbered(world, 'orders', 1, { entry_id: first.entry.entry_id }, PROCESS.replace('1', '2'))
    await sendAll(world, [first])
    await settle(world)
    await sendAll(world, [again, other])
    // The same entries once more are no others.
    await sendAll(world, [first, again, other])
    await settle(world)
    // Which of the two is named depends on which came first.
    const kindsOf = (texts: readonly string[]): string[] =>
      texts.map((text) => text.replace(/entry [0-9a-f]{64}/, ''))
    expect(kindsOf(world.standing())).toEqual(kindsOf(await ofFiles(world, [first, again, other])))
    expect(world.standing()[0]).toContain(first.hash)
    expect(world.general.map(({ key, code }) => [key, code]).sort()).toEqual([
      [`entry:${first.entry.entry_id}`, 'entry-id-repeated'],
      [`process:${PROCESS}`, 'sequence-repeated'],
    ])
  })

  it('K-FLEET says nothing twice, and loses nothing, when another takes over', async () => {
    const world = new World()
    const made = [1, 2, 4].map((n) => numbered(world, 'gateway', n))
    await sendAll(world, made)
    await world.pass(0)
    await world.pass(1_000)
    // Nothing was written yet: all is read again.
    await world.restartSequences()
    await settle(world)
    expect(world.standing()).toEqual([expect.stringContaining('number 3 is missing')])
    const said = world.general.length
    await world.restartSequences(0)
    await sendAll(world, [numbered(world, 'gateway', 6), made[0] as MadeEntry])
    await settle(world)
    expect(world.general).toHaveLength(said + 1)
    const [old] = [await world.restartSequences(0)]
    await sendAll(
      world,
      [3, 5].map((n) => numbered(world, 'gateway', n)),
    )
    await settle(world)
    expect(world.standing()).toEqual([])
    world.log.now += 10_000
    const slices = await Promise.all(old.map((_, n) => world.log.read(TOPICS.facts, n, 0)))
    const late = old.map((worker, n) => worker.take(slices[n] as never))
    const failed = (await Promise.allSettled(late)).filter(({ status }) => status === 'rejected')
    expect(failed.length).toBeGreaterThan(0)
    for (const one of failed) expect((one as PromiseRejectedResult).reason).toBeInstanceOf(Fenced)
  })

  it('K-FLEET holds no more processes of one principal than there is room for, says so, and leaves others theirs', async () => {
    const world = new World({ bounds: { ofOne: 60, ofAll: 200 } } satisfies WorldOptions)
    const others = [1, 3].map((n) => numbered(world, 'orders', n))
    await sendAll(world, others)
    const many = Array.from({ length: 400 }, (_, n) =>
      numbered(world, 'gateway', 1, {}, `3f2b8c1e-0000-4000-9000-${String(n).padStart(12, '0')}`),
    )
    await sendAll(world, many)
    await settle(world)
    const texts = world.standing()
    expect(texts).toContainEqual(expect.stringContaining('number 2 is missing'))
    expect(texts.filter((text) => text.startsWith('limit'))).toEqual([
      expect.stringContaining(world.workloads.gateway.signer.workloadId),
    ])
    // What is forgotten is nothing in a compacted topic, too.
    const states = [0, 1, 2, 3].flatMap((n) => world.log.all(TOPICS.state, n))
    const last = new Map(states.map(({ key, value }) => [key, value]))
    const held = [...last].filter(([key, value]) => key?.startsWith('sequence ') && value !== null)
    expect(held.length).toBeLessThan(400)
    expect(states.filter(({ value }) => value?.length === 0)).toEqual([])
  })

  it('K-FLEET reports facts that are none, and goes on behind them', async () => {
    const world = new World()
    const rows = { numbers: [], ids: [], firsts: [], seen: [], principals: [] }
    const values = [
      '',
      'null',
      '{}',
      '{"format":"kest-facts-1"}',
      JSON.stringify({ ...rows, format: 'kest-facts-1', numbers: [[0, PROCESS, -1, 0, 0, 'x', 0]] }),
      JSON.stringify({ ...rows, format: 'kest-facts-1', seen: [[7, 1]] }),
    ]
    for (const value of values)
      await world.log.append([{ topic: TOPICS.facts, partition: 0, key: 'x', value: Buffer.from(value) }])
    await sendAll(
      world,
      [1, 3].map((n) => numbered(world, 'gateway', n)),
    )
    await settle(world)
    const texts = world.standing()
    expect(texts.filter((text) => text.startsWith('unreadable'))).not.toHaveLength(0)
    expect(world.general.filter(({ code }) => code === 'unreadable')).toHaveLength(values.length)
    expect(texts).toContainEqual(expect.stringContaining('number 2 is missing'))
  })

  it('K-FLEET is the same in whatever order traces come, and whoever takes over in between', async () => {
    const names: readonly Name[] = ['gateway', 'orders']
    const one = fc.record({
      name: fc.constantFrom(...names),
      process: fc.constantFrom(PROCESS, PROCESS.replace('1', '2')),
      number: fc.integer({ min: 1, max: 9 }),
      hours: fc.integer({ min: 0, max: 3 }),
      restart: fc.boolean(),
    })
    const property = fc.asyncProperty(
      fc.array(one, { maxLength: 14 }),
      fc.boolean(),
      async (rows, shares) => {
        const ids = names.map((name) => new World().workloads[name].signer.workloadId)
        const world = new World(shares ? { shared: [ids] } : {})
        const made: MadeEntry[] = []
        for (const { name, process, number, hours, restart } of rows) {
          const timestamp = Date.UTC(2026, 0, 31, 12 + hours)
          made.push(numbered(world, name, number, { timestamp_ms: timestamp }, process))
          await sendAll(world, made.slice(-1))
          await world.pass(1_000)
          if (restart) await world.restartSequences()
        }
        await settle(world)
        const repeated = (texts: readonly string[]): number =>
          texts.filter((text) => text.startsWith('sequence-repeated')).length
        const others = (texts: readonly string[]): string[] =>
          texts.filter((text) => !text.startsWith('sequence-repeated'))
        const expected = await ofFiles(world, made)
        expect(others(world.standing())).toEqual(others(expected))
        expect(world.general.filter(({ code }) => code === 'sequence-repeated')).toHaveLength(
          repeated(expected),
        )
      },
    )
    await fc.assert(property, { numRuns: 12 })
  })
})
