import { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Audit, parseRoster, readStream } from '../src/index.js'
import { makeDenial, signedDenialOf } from '../src/testing/make-denial.js'
import { EVERYBODY, makeEntry } from '../src/testing/make-entry.js'
import { otlpLine, spanOf } from '../src/testing/make-span.js'
import { auditOf, gateway, orders, payments, stranger, trust } from './support/audit.js'

const NOON = Date.UTC(2026, 0, 31, 12)
const HOUR = 3_600_000
const [first, second, third] = [gateway, orders, payments].map((one) => one.getWorkloadId()) as [
  string,
  string,
  string,
]

describe('a roster', () => {
  const workloads = [first, second, third].map((workload) => ({ workload, withinMs: HOUR }))
  const silentOf = async (spans: Parameters<typeof auditOf>[0], untilMs = NOON): Promise<string[]> => {
    const { summary } = await auditOf(spans, { roster: { workloads, untilMs } })
    return summary.general.filter(({ code }) => code === 'silent').map(({ message }) => message)
  }

  it('K-ROSTER names who has neither a verified entry nor a signed denial dated in its window', async () => {
    const early = makeEntry(gateway.current(), [], { timestamp_ms: NOON - HOUR - 1 })
    const now = makeEntry(orders.current(), [], { timestamp_ms: NOON - HOUR })
    const denied = makeDenial(payments.current(), [], { timestamp_ms: NOON })
    expect(await silentOf([spanOf(early), spanOf(now), signedDenialOf(denied)])).toEqual([
      `${first}: no verified entry, and no signed denial, is of its last 3600 s; its last is of 2026-01-31T10:59:59.999Z`,
    ])
    expect(await silentOf([spanOf(early)])).toHaveLength(3)
  })

  it('K-ROSTER is not quieted by what is not verified, nor by what is dated after it', async () => {
    const lost = makeEntry(gateway.current(), [], { timestamp_ms: NOON - 2 })
    const unproven = makeEntry(orders.current(), [lost], { timestamp_ms: NOON - 1 })
    const forged = makeEntry(stranger.current(), [], { timestamp_ms: NOON, labels: { principal: third } })
    const future = makeEntry(gateway.current(), [], { timestamp_ms: NOON + 99 * HOUR })
    const denied = makeDenial(payments.current(), [], { timestamp_ms: NOON + 60_001 })
    const texts = await silentOf([spanOf(unproven), spanOf(forged), spanOf(future), signedDenialOf(denied)])
    expect(texts.map((text) => text.split(': ')[0])).toEqual([first, second, third])
    expect(texts[0]).toMatch(/there is none of before, either$/)
  })

  it('K-ROSTER counts what clocks differ by, and what a trace has in the window beside what is dated after it', async () => {
    const skewed = makeEntry(gateway.current(), [], { timestamp_ms: NOON + 60_000 })
    const within = makeEntry(orders.current(), [], { timestamp_ms: NOON })
    const after = makeEntry(orders.current(), [within], { timestamp_ms: NOON + HOUR })
    const texts = await silentOf([skewed, within, after].map((one) => spanOf(one)))
    expect(texts.map((text) => text.split(': ')[0])).toEqual([third])
  })

  it('K-ROSTER looks, unless it is told when, at the time of its judging, however long it was read before', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: NOON })
    onTestFinished(() => void vi.useRealTimers())
    await using one = new Audit({ trust, roots: EVERYBODY, roster: { workloads } })
    const early = makeEntry(gateway.current(), [], { timestamp_ms: NOON })
    const late = makeEntry(orders.current(), [], { timestamp_ms: NOON + HOUR })
    vi.setSystemTime(NOON + HOUR + 1)
    const line = otlpLine(
      'any',
      [early, late].map((entry) => spanOf(entry)),
    )
    await one.read(readStream(Readable.from([Buffer.from(`${line}\n`)]), 'spans'))
    for await (const { verdict } of one.traces()) expect(verdict).toBe('verified')
    const silent = one.summary().general.filter(({ code }) => code === 'silent')
    expect(silent.map(({ message }) => message.split(': ')[0])).toEqual([first, third])
  })

  it('K-ROSTER says who is silent before what others can make of numbers, of which there may be too many to keep', async () => {
    const seq = { 'kest.seq': `${crypto.randomUUID()}:1` }
    const twice = [1, 2].map((n) => makeEntry(gateway.current(), [], { timestamp_ms: NOON - n, labels: seq }))
    const { summary } = await auditOf(
      twice.map((one) => spanOf(one)),
      { roster: { workloads, untilMs: NOON } },
    )
    expect(summary.general.map(({ code }) => code)).toEqual(['silent', 'silent', 'sequence-repeated'])
  })

  it('reads a list, each with a window of its own or that of all', () => {
    const text = JSON.stringify({
      within_seconds: 60,
      workloads: ['a', { workload: 'b', within_seconds: 5 }],
    })
    expect(parseRoster(text)).toEqual([
      { workload: 'a', withinMs: 60_000 },
      { workload: 'b', withinMs: 5_000 },
    ])
  })

  it.each([
    ['{', /it is not JSON/],
    ['[]', /the file: expected an object/],
    ['{"workloads":["a"],"within":1}', /unknown "within"; there are: within_seconds, workloads/],
    ['{"within_seconds":1,"workloads":[]}', /expected a list of 1/],
    ['{"within_seconds":1,"workloads":{}}', /workloads: expected a list/],
    ['{"workloads":["a"]}', /workloads\[0\]: within_seconds: neither/],
    ['{"within_seconds":0,"workloads":["a"]}', /within_seconds: expected seconds/],
    ['{"within_seconds":1,"workloads":["a","a"]}', /"a" is named more than once/],
    ['{"within_seconds":1,"workloads":[{"workload":"a","x":1}]}', /workloads\[0\]: unknown "x"/],
    ['{"within_seconds":1,"workloads":[7]}', /workloads\[0\]: expected an object/],
    ['{"within_seconds":1,"workloads":[""]}', /workloads\[0\]: workload: expected a name/],
  ])('K-ROSTER refuses %s', (text, message) => {
    expect(() => parseRoster(text)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    expect(() => parseRoster(text)).toThrow(message)
  })
})
