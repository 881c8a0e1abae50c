import { describe, expect, it } from 'vitest'
import { parseRoster } from '../src/index.js'
import { makeDenial, signedDenialOf } from '../src/testing/make-denial.js'
import { makeEntry } from '../src/testing/make-entry.js'
import { spanOf } from '../src/testing/make-span.js'
import { auditOf, gateway, orders, payments, stranger } from './support/audit.js'

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

  it('K-ROSTER is not quieted by what is not verified, nor later by what is dated in the future', async () => {
    const lost = makeEntry(gateway.current(), [], { timestamp_ms: NOON - 2 })
    const unproven = makeEntry(orders.current(), [lost], { timestamp_ms: NOON - 1 })
    const forged = makeEntry(stranger.current(), [], { timestamp_ms: NOON, labels: { principal: third } })
    const future = makeEntry(gateway.current(), [], { timestamp_ms: NOON + 99 * HOUR })
    const texts = await silentOf([spanOf(unproven), spanOf(forged), spanOf(future)])
    expect(texts.map((text) => text.split(': ')[0])).toEqual([second, third])
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
