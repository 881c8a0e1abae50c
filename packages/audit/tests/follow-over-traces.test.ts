import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKeySource, LABEL } from '@kest/core'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { SpanLog } from '../src/follow/span-log.js'
import {
  type FollowedBatch,
  type FollowedFinding,
  TraceFollower,
  type TraceFollowerOptions,
} from '../src/index.js'
import { readOtlp } from '../src/receive/read-otlp.js'
import { type EntryClaim, EVERYBODY, type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { type OtlpSpan, otlpLine, spanOf } from '../src/testing/make-span.js'
import { DEFECTS, soundTrace, Workloads } from '../src/testing/plant.js'
import { auditOf, gateway, orders, trust } from './support/audit.js'

const PROCESS = '3f2b8c1e-0000-4000-8000-000000000001'
const OTHER = PROCESS.replace('1', '2')
const settling = { settleMs: 1, maxAgeMs: 1 }

function batchOf(spans: readonly OtlpSpan[]): FollowedBatch {
  const bytes = Buffer.from(otlpLine('any', spans))
  return {
    ...readOtlp({ encoding: 'json', bytes, place: { file: 'a', line: 1 }, receivedAt: null }),
    atEnd: false,
  }
}

const END: FollowedBatch = { spans: [], others: 0, findings: [], bytes: 0, atEnd: true }

function numbered(number: number, claim: EntryClaim = {}, process = PROCESS, by = gateway): MadeEntry {
  const labels = { [LABEL.seq]: `${process}:${number}`, ...claim.labels }
  return makeEntry(by.current(), [], { ...claim, labels })
}

/** What was said over all traces: in order, and what of it stands. */
class Said {
  readonly all: FollowedFinding[] = []

  get standing(): string[] {
    const standing = new Map<string, string>()
    for (const { key, code, message, withdrawn } of this.all) {
      const name = `${key} ${code} ${message}`
      if (withdrawn) standing.delete(name)
      else standing.set(name, `${code}: ${message}`)
    }
    return [...standing.values()].sort()
  }
}

/** Spans that come; or what is waited for, meanwhile nothing comes. */
type Step = readonly OtlpSpan[] | ((said: Said) => boolean)

async function follow(
  steps: readonly Step[],
  options: Partial<TraceFollowerOptions> = {},
): Promise<{ said: Said; verdicts: string[] }> {
  using follower = new TraceFollower({ trust, roots: EVERYBODY, settling, ...options })
  const said = new Said()
  const verdicts: string[] = []
  async function* source(): AsyncGenerator<FollowedBatch> {
    for (const step of steps) {
      if (typeof step !== 'function') yield batchOf(step)
      yield END
      while (typeof step === 'function' && !step(said)) {
        await new Promise((resolve) => setTimeout(resolve, 2))
        yield END
      }
    }
  }
  for await (const { verdict, finding } of follower.follow(source())) {
    if (verdict !== null) verdicts.push(verdict.verdict)
    else said.all.push(finding)
  }
  return { said, verdicts }
}

const spansOf = (...made: readonly MadeEntry[]): OtlpSpan[] => made.map((one) => spanOf(one))
const hasSaid =
  (text: string): Step =>
  ({ standing }) =>
    standing.some((one) => one.includes(text))
const lacks =
  (text: string): Step =>
  ({ standing }) =>
    !standing.some((one) => one.includes(text))

async function ofFiles(...made: readonly MadeEntry[]): Promise<string[]> {
  const { summary } = await auditOf(spansOf(...made))
  return summary.general.map(({ code, message }) => `${code}: ${message}`).sort()
}

describe('what is found over all traces that are followed', () => {
  it('K-FLEET is what an audit of the same spans finds, whatever is wrong with them', async () => {
    const workloads = new Workloads()
    const planted = Object.values(DEFECTS).flatMap((defect, n) => [
      soundTrace(workloads),
      defect(workloads, n),
    ])
    const spans = planted.flatMap((one) => one.spans.map(({ span }) => span))
    const keys = createKeySource(new Map(Object.entries(workloads.keys())) as never)
    const judging = { trust: keys, now: Date.now() }
    const some = Array.from({ length: Math.ceil(spans.length / 8) }, (_, n) => spans.slice(8 * n, 8 * n + 8))
    const { said } = await follow(some, judging)
    const { summary } = await auditOf(spans, judging)
    // Which of two entries came first depends on the order.
    const plain = (text: string): string =>
      text.replace(/entry [0-9a-f]{64}/, '').replace(/its entry_id.*/, '')
    const expected = summary.general
      .filter(({ code }) => code !== 'revision-repeated')
      .map(({ code, message }) => plain(`${code}: ${message}`))
    expect(expected.length).toBeGreaterThan(8)
    expect(said.standing.map(plain).sort()).toEqual(expected.sort())
  })

  it('K-FLEET a gap is said once it was waited for, and withdrawn when the number comes', async () => {
    const [first, second, third, fourth, fifth] = [1, 2, 3, 4, 5].map((n) => numbered(n)) as [
      MadeEntry,
      MadeEntry,
      MadeEntry,
      MadeEntry,
      MadeEntry,
    ]
    const { said } = await follow([
      spansOf(first, fifth),
      hasSaid('numbers 2 to 4 are missing'),
      spansOf(third),
      hasSaid('number 4 is missing'),
      spansOf(second, fourth),
      lacks('missing'),
    ])
    expect(said.standing).toEqual([])
    expect(new Set(said.all.map(({ key }) => key))).toEqual(new Set([`process:${PROCESS}`]))
    expect(said.all.filter(({ withdrawn }) => withdrawn)).toHaveLength(3)
  })

  it('K-FLEET a number that comes while it is waited for is never said to be missing', async () => {
    const made = [1, 3, 2].map((n) => numbered(n))
    const steps = made.map((one) => spansOf(one))
    const { said } = await follow(steps, { settling: { settleMs: 1, maxAgeMs: 3_600_000 } })
    expect(said.all).toEqual([])
  })

  it('K-FLEET a number, and an entry_id, of two entries of two traces is found once, and of the same entry never', async () => {
    const first = numbered(1)
    const again = numbered(1)
    const other = numbered(1, { entry_id: first.entry.entry_id }, OTHER, orders)
    const more = makeEntry(gateway.current(), [first], { labels: { [LABEL.seq]: `${PROCESS}:2` } })
    const two = ({ all }: Said): boolean => all.length === 2
    const { said } = await follow([
      spansOf(first),
      spansOf(again, other),
      two,
      // The same once more, in traces that are judged again.
      spansOf(first, again, other, more),
      spansOf(first, again, other),
    ])
    expect(said.all.map(({ key, code, message }) => [key, code, message])).toEqual(
      expect.arrayContaining([
        [`process:${PROCESS}`, 'sequence-repeated', expect.stringContaining('number 1 of process')],
        [`entry:${first.entry.entry_id}`, 'entry-id-repeated', expect.stringContaining(first.hash)],
      ]),
    )
    expect(said.all).toHaveLength(2)
    expect(said.standing.map((one) => one.slice(0, 16))).toEqual(
      (await ofFiles(first, again, other, more)).map((one) => one.slice(0, 16)),
    )
  })

  it('K-FLEET the same entries without a trace, read twice, repeat no number', async () => {
    const made = [1, 2].map((n) => numbered(n, { labels: { [LABEL.traceId]: undefined } }))
    const { said } = await follow([spansOf(...made), spansOf(...made)])
    expect(said.all).toEqual([])
  })

  it('K-FLEET whose process has a number that jumps by a billion is judged all the same', async () => {
    const made = [1, 2, 1_000_000_002, 10 ** 14].map((n) => numbered(n))
    const { said } = await follow(made.map((one) => spansOf(one)))
    expect(said.standing).toEqual(await ofFiles(...made))
  })

  it('K-ROSTER who shows nothing in time is silent, until he does', async () => {
    const began = Date.UTC(2026, 0, 31, 12)
    vi.useFakeTimers({ toFake: ['Date'], now: began })
    onTestFinished(() => void vi.useRealTimers())
    const at =
      (ms: number, step: (said: Said) => boolean): Step =>
      (said) => {
        vi.setSystemTime(began + ms)
        return step(said)
      }
    const roster = [gateway, orders].map((one) => ({ workload: one.getWorkloadId(), withinMs: 5_000 }))
    const shown = makeEntry(orders.current(), [], { timestamp_ms: began + 10_000 })
    const { said } = await follow(
      [
        at(4_000, () => true),
        at(10_000, ({ standing }) => standing.length === 2),
        spansOf(shown),
        at(12_000, ({ standing }) => standing.length === 1),
      ],
      { roster },
    )
    expect(said.all.filter((one) => one.withdrawn)).toMatchObject([
      { code: 'silent', key: `workload:${orders.getWorkloadId()}` },
    ])
    expect(said.standing).toEqual([expect.stringContaining(`silent: ${gateway.getWorkloadId()}`)])
  })
})

describe('entries of other traces that are followed', () => {
  async function logOf(made: readonly MadeEntry[], keepMs = 1_000): Promise<SpanLog> {
    const folder = await mkdtemp(join(tmpdir(), 'kest-span-log-'))
    const log = new SpanLog(join(folder, 'spans'), { keepMs, maxTables: 1 })
    onTestFinished(async () => {
      log.close()
      await rm(folder, { recursive: true, force: true })
    })
    for (const [n, one] of made.entries())
      for (const span of batchOf(spansOf(one)).spans) log.addSpan('any', span, -1, n)
    return log
  }

  async function found(log: SpanLog, hashes: Iterable<string>, sinceMs = 0) {
    const unsought = new Set<string>()
    const signatures: string[] = []
    for await (const share of log.entries(hashes, sinceMs, unsought)) signatures.push(...share.signatures())
    return { signatures, unsought }
  }

  it('K-FLEET are those that are named, and what is named meanwhile', async () => {
    const made = [1, 2, 3, 4].map((n) => numbered(n))
    const [first, , third] = made as [MadeEntry, MadeEntry, MadeEntry, MadeEntry]
    const log = await logOf(made)
    const named = new Set([first.hash, 'f'.repeat(64), 'none'])
    const signatures: string[] = []
    for await (const share of log.entries(named, 0, new Set())) {
      signatures.push(...share.signatures())
      named.add(third.hash)
    }
    expect(signatures).toEqual([first.jws, third.jws])
  })

  it('K-FLEET are forgotten when nobody asks for what is so old, and when there is no more room that is said', async () => {
    const log = await logOf([])
    const [first, last] = [numbered(1), numbered(2)]
    const add = (made: MadeEntry, nowMs: number): void => {
      for (const span of batchOf(spansOf(made)).spans) log.addSpan('any', span, -1, nowMs)
    }
    const fill = (): void => {
      const [span] = batchOf(spansOf(numbered(3))).spans
      for (let n = 0; n < 50_000; n++)
        log.addSpan('any', { ...(span as object), claims: { signature: `${n}` } } as never, -1, 10)
    }
    add(first, 1)
    fill()
    expect(await found(log, [first.hash, last.hash])).toEqual({
      signatures: [],
      unsought: new Set([first.hash, last.hash]),
    })
    add(last, 20)
    expect(await found(log, [last.hash], 11)).toEqual({ signatures: [last.jws], unsought: new Set() })
    add(first, 5_000)
    expect(await found(log, [last.hash, first.hash], 4_000)).toMatchObject({ unsought: new Set() })
  })
})
