import { ATTRIBUTE, createKeySource, LABEL } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { type MadeEntry, makeEntry } from '../../audit/dist/testing/make-entry.js'
import { denialOf, type OtlpSpan, spanOf } from '../../audit/dist/testing/make-span.js'
import { DEFECTS, soundTrace } from '../../audit/dist/testing/plant.js'
import { Fenced, Unavailable } from '../src/log/log.js'
import { comparable, TOPICS, World } from './support/world.js'

/** Three services, one after the other. */
function chain({ workloads: { gateway, orders, payments } }: World): [MadeEntry, MadeEntry, MadeEntry] {
  const first = gateway.make([])
  const second = orders.make([first])
  return [first, second, payments.make([second])]
}

function traceOf({ entry }: MadeEntry): string {
  return entry.labels[LABEL.traceId] as string
}

/** The span, with a signature that does not hold. */
function spoiled(made: MadeEntry): OtlpSpan {
  const span = spanOf(made)
  const at = made.jws.lastIndexOf('.') + 1
  span.attributes[ATTRIBUTE.signature] =
    `${made.jws.slice(0, at)}${made.jws[at] === 'A' ? 'B' : 'A'}${made.jws.slice(at + 1)}`
  return span
}

describe('a fleet', () => {
  it('K-FLEET comes to the verdicts of an audit of the same spans, whatever is wrong with them', async () => {
    const world = new World()
    const planted = Object.values(DEFECTS).flatMap((defect, n) => [
      soundTrace(world.workloads),
      defect(world.workloads, n),
    ])
    const spans = planted.flatMap((one) => one.spans.map(({ span }) => span))
    for (const [n, span] of spans.entries()) await world.send([span], n % 2)
    await world.work()
    expect(world.written()).toEqual([])
    await world.pass(1_000)
    const expected = await world.audit(spans)
    const verdicts = world.verdicts()
    expect([...verdicts.keys()].sort()).toEqual([...expected.keys()].sort())
    for (const [traceId, trace] of expected) {
      const verdict = verdicts.get(traceId as string)
      expect(verdict && comparable(verdict)).toEqual(comparable(trace))
      expect(verdict?.fleet).toMatchObject({ early: false, partial: false, replaces: null })
    }
    expect(world.written()).toHaveLength(expected.size)
    expect(world.written(TOPICS.verdicts)).toEqual(world.written())
  })

  it('K-FLEET judges a trace again with all of its spans when more comes, under one key', async () => {
    const world = new World()
    const [first, second, third] = chain(world)
    await world.send([spanOf(first), spanOf(third)])
    await world.pass(0)
    await world.pass(1_000)
    expect(world.verdicts().get(traceOf(first))).toMatchObject({ verdict: 'incomplete' })
    await world.pass(3_600_000)
    await world.send([spanOf(second)], 1)
    await world.pass(0)
    await world.pass(1_000)
    const [before, after, ...more] = world.written()
    expect(more).toEqual([])
    expect(after?.key).toBe(before?.key)
    expect(after?.verdict).toMatchObject({
      verdict: 'verified',
      fleet: {
        replaces: { verdict: 'incomplete', judged_at: before?.verdict.fleet.judged_at },
        partial: false,
      },
    })
    expect(after?.verdict.fleet.positions.offsets).toEqual([[0, 2]])
    const audited = await world.audit([first, third, second].map((made) => spanOf(made)))
    expect(comparable(after?.verdict as never)).toEqual(comparable(audited.get(traceOf(first)) as never))
  })

  it.each([{ retention: 'keeps' }, { retention: 'takes' }])(
    'K-FLEET keeps a trace broken when a valid root comes late and retention $retention its spans',
    async ({ retention }) => {
      const world = new World()
      const [first, second] = chain(world)
      await world.send([spoiled(second)])
      await world.pass(0)
      await world.pass(1_000)
      const [broken] = world.written()
      expect(broken?.verdict.verdict).toBe('broken')
      if (retention === 'takes') world.log.forget(TOPICS.entries, broken?.partition as number, 1)
      await world.send([spanOf(first)])
      await world.pass(0)
      await world.pass(1_000)
      const verdict = world.verdicts().get(traceOf(first))
      expect(verdict).toMatchObject({ verdict: 'broken', fleet: { partial: retention === 'takes' } })
      expect(verdict?.findings.map(({ code }) => code)).toContain('broken')
      expect(verdict?.entries.map(({ hash }) => hash)).toContain(first.hash)
      expect(verdict?.fleet.positions.offsets).toEqual([[0, 1]])
      // Also when yet more comes: what is partial stays so.
      await world.send([spanOf(second)])
      await world.pass(0)
      await world.pass(1_000)
      expect(world.verdicts().get(traceOf(first))?.verdict).toBe('broken')
    },
  )

  it('K-FLEET commits behind the oldest open trace, and what a dead auditor had open is judged by another', async () => {
    const world = new World()
    const [first, second, third] = chain(world)
    await world.send([spanOf(first)])
    await world.pass(0)
    const [partition] = [0, 1, 2, 3].filter((n) => world.log.all(TOPICS.entries, n).length > 0)
    const at = partition as number
    expect(world.judgeAt(at).position).toBe(0)
    await world.send([spanOf(second), spanOf(third)])
    await world.work()
    expect(world.judgeAt(at).position).toBe(0)
    await world.takeOver(at, world.judgeAt(at).position)
    await world.work()
    await world.pass(1_000)
    expect(world.verdicts().get(traceOf(first))?.verdict).toBe('verified')
    expect(world.judgeAt(at).position).toBe(3)
    // One that reads from the beginning knows what was judged.
    await world.takeOver(at, 0)
    await world.work()
    await world.pass(1_000)
    expect(world.written()).toHaveLength(1)
  })

  it.each([{ outcome: 'was not' }, { outcome: 'was, and nobody said so,' }])(
    'K-FLEET writes each verdict once, when what was judged $outcome written while a broker restarts',
    async ({ outcome }) => {
      const world = new World()
      const [first, second, third] = chain(world)
      await world.send([spanOf(first), spanOf(second), spanOf(third)])
      await world.work()
      const [partition] = [0, 1, 2, 3].filter((n) => world.log.all(TOPICS.entries, n).length > 0)
      const at = partition as number
      const known = world.knowing()
      const worker = await world.judge(at, 0, known)
      await worker.take(await world.log.read(TOPICS.entries, at, 0))
      world.log.now += 1_000
      world.log[outcome === 'was not' ? 'failing' : 'unheard'] = new Unavailable('the broker restarts')
      const slice = await world.log.read(TOPICS.entries, at, 3)
      await expect(worker.take(slice)).rejects.toThrow(Unavailable)
      // As a stage does then: with what was known, from where was committed.
      const next = await world.judge(at, 0, known)
      await next.take(await world.log.read(TOPICS.entries, at, 0))
      world.log.now += 1_000
      await next.take(slice)
      expect(
        world.written().map(({ key, verdict }) => [key, verdict.verdict, verdict.fleet.replaces]),
      ).toEqual([[traceOf(first), 'verified', null]])
      expect(next.position).toBe(3)
    },
  )

  it('K-FLEET lets nobody write who was taken for dead', async () => {
    const world = new World()
    const [first, second, third] = chain(world)
    await world.send([spanOf(first), spanOf(second), spanOf(third)])
    await world.work()
    const [partition] = [0, 1, 2, 3].filter((n) => world.log.all(TOPICS.entries, n).length > 0)
    const old = await world.takeOver(partition as number, 0)
    world.log.now += 1_000
    const late = world.log.read(TOPICS.entries, partition as number, 3)
    await expect(old?.take(await late)).rejects.toThrow(Fenced)
    expect(world.written()).toEqual([])
    await world.work()
    await world.pass(1_000)
    expect(world.written()).toHaveLength(1)
  })

  it('K-FLEET takes a span once that the stage before has written twice', async () => {
    const world = new World()
    const [first, second, third] = chain(world)
    await world.send([spanOf(first), spanOf(second), spanOf(third)])
    await world.work()
    const again = world.splitter(0)
    await again.take(await world.log.read(TOPICS.spans, 0, 0))
    await world.pass(1_000)
    await world.pass(1_000)
    await again.take(await world.log.read(TOPICS.spans, 0, 0))
    await world.work()
    await world.pass(1_000)
    expect(world.written().map(({ verdict }) => [verdict.verdict, verdict.findings])).toEqual([
      ['verified', []],
    ])
  })

  it('K-FLEET bounds a trace that is fed for ever: it pins no commit and delays nobody', async () => {
    const world = new World({ maxTraceSpans: 20 })
    const [first] = chain(world)
    const other = chain(world)
    await world.send([spanOf(first), ...other.map((made) => spanOf(made))])
    for (let n = 0; n < 100; n++) {
      const fed = makeEntry(world.workloads.stranger.signer, [], {
        labels: { [LABEL.traceId]: traceOf(first) },
      })
      await world.send([spanOf(fed)])
      await world.pass(900)
    }
    const verdicts = world.verdicts()
    expect(verdicts.get(traceOf(other[0]))?.verdict).toBe('verified')
    const fed = verdicts.get(traceOf(first))
    expect(fed?.findings.map(({ code }) => code)).toContain('limit')
    // Judged at its age, again when that was reached anew, and not any more.
    expect(world.written().filter(({ key }) => key === traceOf(first)).length).toBeLessThanOrEqual(4)
    const { partition } = world.written().find(({ key }) => key === traceOf(first)) as { partition: number }
    expect(world.judgeAt(partition).position).toBe(world.log.all(TOPICS.entries, partition).length)
    expect(world.judgeAt(partition).open).toBe(0)
  })

  it('K-FLEET judges the oldest early where too much is open, and again when more comes', async () => {
    const world = new World({ settling: { maxOpen: 1 } })
    const [first, second, third] = chain(world)
    await world.send([spanOf(first), spanOf(second)])
    await world.work()
    const [partition] = [0, 1, 2, 3].filter((n) => world.log.all(TOPICS.entries, n).length > 0)
    // Of other traces as many as it takes to fill the partition.
    while (world.written().length === 0) {
      await world.send([spanOf(chain(world)[0])])
      await world.work()
    }
    const [early] = world.written().filter(({ key }) => key === traceOf(first))
    expect(early).toMatchObject({ partition, verdict: { verdict: 'verified', fleet: { early: true } } })
    await world.send([spanOf(third)])
    await world.pass(0)
    await world.pass(1_000)
    const verdict = world.verdicts().get(traceOf(first))
    expect(verdict).toMatchObject({ fleet: { early: false, replaces: { verdict: 'verified' } } })
    expect(verdict?.entries).toHaveLength(3)
  })

  it('K-FLEET judges what names no trace by its links, once, and pins no commit by it', async () => {
    const world = new World()
    const untraced = { labels: { [LABEL.traceId]: undefined } }
    const first = world.workloads.gateway.make([], untraced)
    const second = world.workloads.orders.make([first], untraced)
    const other = world.workloads.gateway.make([], untraced)
    for (const made of [first, other, second]) await world.send([spanOf(made)])
    await world.pass(0)
    await world.pass(1_000)
    const written = world.written()
    expect(written.map(({ key, verdict }) => [key.slice(0, 9), verdict.trace_id, verdict.verdict])).toEqual([
      ['untraced:', null, 'verified'],
      ['untraced:', null, 'verified'],
    ])
    expect(written.map(({ verdict }) => verdict.entries.length).sort()).toEqual([1, 2])
    const { partition } = written[0] as { partition: number }
    expect(world.judgeAt(partition).position).toBe(3)
    await world.takeOver(partition, 0)
    await world.work()
    await world.pass(1_000)
    expect(world.written()).toHaveLength(2)
  })

  it('K-FLEET asks other partitions for what an entry builds on, and once more when it was nowhere', async () => {
    const world = new World()
    const [first, second] = chain(world)
    const third = world.workloads.payments.make([second], { labels: { [LABEL.traceId]: 'c'.repeat(32) } })
    await world.send([spanOf(third), spanOf(second)])
    await world.pass(0)
    await world.pass(1_000)
    expect(world.verdicts().get('c'.repeat(32))?.verdict).toBe('incomplete')
    await world.send([spanOf(first)])
    await world.pass(0)
    await world.pass(1_000)
    await world.pass(10_000)
    const verdict = world.verdicts().get('c'.repeat(32))
    expect(verdict).toMatchObject({ verdict: 'verified', fleet: { replaces: { verdict: 'incomplete' } } })
    expect(verdict?.findings.map(({ code }) => code)).toEqual(['trace-differs'])
    await world.pass(100_000)
    expect(world.written().filter(({ key }) => key === 'c'.repeat(32))).toHaveLength(2)
  })

  it('K-FLEET judges a denial that has no entry', async () => {
    const world = new World()
    const [first] = chain(world)
    await world.send([denialOf(first)])
    await world.pass(0)
    await world.pass(1_000)
    expect(world.verdicts().get(traceOf(first))).toMatchObject({
      verdict: 'empty',
      denials: [{ signed: false }],
    })
  })

  it('K-FLEET reports records that cannot be read, and goes on behind them', async () => {
    const world = new World()
    const made = chain(world)
    await world.send([spanOf(made[0])])
    const poison = ['{', '', 'x'.repeat(1_000_000), '{"resourceSpans":[{"scopeSpans":[1]}]}', '\u0000']
    for (const bytes of poison) await world.sendBytes(bytes)
    await world.send([spanOf(made[1]), spanOf(made[2])])
    await world.log.append([
      { topic: TOPICS.entries, partition: 0, key: 'x', value: Buffer.from('{}') },
      { topic: TOPICS.entries, partition: 0, key: traceOf(made[0]), value: Buffer.from('null') },
    ])
    await world.pass(0)
    await world.pass(1_000)
    expect(world.verdicts().get(traceOf(made[0]))?.verdict).toBe('verified')
    const codes = world.found.map(({ code, place }) => [code, place])
    // What is empty is an export of nothing.
    for (const offset of [1, 3, 4, 5]) expect(codes).toContainEqual(['unreadable', `otlp_spans/0:${offset}`])
    expect(codes).toContainEqual(['unreadable', 'kest-entries/0:0'])
    expect(world.log.all(TOPICS.findings, 0)).toHaveLength(codes.length)
  })

  it('K-FLEET judges by the trust that is in force when it judges: a key that comes, and one that goes', async () => {
    const none = createKeySource({})
    let known = false
    const world = new World({ trust: (all) => () => (known ? all : none) })
    for (const [isKnown, verdict] of [
      [false, 'broken'],
      [true, 'verified'],
      [false, 'broken'],
    ] as const) {
      known = isKnown
      const made = chain(world)
      await world.send(made.map((one) => spanOf(one)))
      await world.pass(0)
      await world.pass(1_000)
      expect(world.verdicts().get(traceOf(made[0]))).toMatchObject({ verdict })
    }
  })

  it('K-FLEET what was judged without a key is judged with it when more comes of the trace', async () => {
    const none = createKeySource({})
    let known = false
    const world = new World({ trust: (all) => () => (known ? all : none) })
    const [first, second, third] = chain(world)
    await world.send([spanOf(first), spanOf(second)])
    await world.pass(0)
    await world.pass(1_000)
    expect(world.verdicts().get(traceOf(first))).toMatchObject({ verdict: 'broken' })
    known = true
    await world.pass(1_000)
    expect(world.verdicts().get(traceOf(first))).toMatchObject({ verdict: 'broken' })
    await world.send([spanOf(third)])
    await world.pass(0)
    await world.pass(1_000)
    expect(world.verdicts().get(traceOf(first))).toMatchObject({ verdict: 'verified' })
  })

  it('K-FLEET refuses a topic of something else, and commits nothing of it', async () => {
    const world = new World()
    for (let n = 0; n < 20; n++) await world.sendBytes(`record ${n} of another format`)
    const splitter = world.splitter(0)
    const slice = await world.log.read(TOPICS.spans, 0, 0)
    await expect(splitter.take(slice)).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_KEST_CONFIG',
        message: expect.stringMatching('is an export of OTLP'),
      }),
    )
    expect(splitter.position).toBe(0)
    // Of one that was read before, they are poison.
    await world.splitter(0, true).take(slice)
  })
})
