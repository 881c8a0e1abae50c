import type { MockIdentityProvider } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import { type ObservedOptions, type ObservedReport, ObservedTally } from '../src/index.js'
import { type EntryClaim, type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { spanOf } from '../src/testing/make-span.js'
import { auditOf, gateway, orders, payments, stranger } from './support/audit.js'

const DAY = 86_400_000
const NOW = 1_800_000_000_000
const POLICIES = { enterprise_policies: [], platform_policies: [], app_policies: [], deviations: [] }
const item = (code: string, policy: string | null = 'orders/read', tier = 'function') => ({
  code,
  policy,
  tier,
})

/** An operation `daysAgo`; what is refused stands in no list. */
function made(
  by: MockIdentityProvider,
  daysAgo: number,
  refused: readonly object[] | string = [],
  { parents = [], ...claim }: EntryClaim & { readonly parents?: readonly MadeEntry[] } = {},
): MadeEntry {
  const observed = typeof refused === 'string' ? refused : JSON.stringify(refused)
  return makeEntry(by.current(), parents, {
    operation: 'GET /orders/:id',
    timestamp_ms: NOW - daysAgo * DAY,
    policy_context: { ...POLICIES, function_policies: refused.length > 0 ? [] : ['orders/read'] },
    ...claim,
    labels: { ...(refused.length > 0 && { 'kest.observed': observed }), ...claim.labels },
  })
}

async function observed(
  entries: readonly MadeEntry[],
  options: ObservedOptions = {},
): Promise<ObservedReport> {
  const { traces, summary } = await auditOf(entries.map((one) => spanOf(one)))
  const tally = new ObservedTally({ now: NOW, ...options })
  for (const trace of traces) tally.add(trace)
  return tally.report(summary)
}

/** The one row there is. */
async function row(entries: readonly MadeEntry[], options: ObservedOptions = {}) {
  const { rows } = await observed(entries, options)
  expect(rows).toHaveLength(1)
  return rows[0]
}

describe('what observing has shown', () => {
  it('K-OBSERVE is how often each policy of an operation was asked and would have been refused, by code, for whom, first and last', async () => {
    const root = makeEntry(gateway.current(), [], { timestamp_ms: NOW - 9 * DAY, operation: 'edge' })
    const entries = [
      made(orders, 9),
      made(orders, 3, [item('ERR_KEST_DENIED')], { parents: [root] }),
      made(orders, 2, [item('ERR_KEST_ENGINE_TIMEOUT')]),
      made(orders, 1, [item('ERR_KEST_DENIED')], { parents: [root] }),
    ]
    const { rows, until, days } = await observed([root, ...entries], { service: 'orders' })
    expect([until, days]).toEqual([NOW - DAY, 7])
    expect(rows).toEqual([
      expect.objectContaining({ tier: 'lineage', policy: null, asked: 2, refused: new Map(), ready: false }),
      {
        workload: orders.getWorkloadId(),
        operation: 'GET /orders/:id',
        tier: 'function',
        policy: 'orders/read',
        asked: 4,
        refused: new Map([
          ['ERR_KEST_DENIED', 2],
          ['ERR_KEST_ENGINE_TIMEOUT', 1],
        ]),
        notAsked: 0,
        callers: [
          { caller: gateway.getWorkloadId(), refused: 2 },
          { caller: null, refused: 1 },
        ],
        otherCallers: 0,
        first: NOW - 9 * DAY,
        last: NOW - DAY,
        lastRefused: NOW - DAY,
        ready: false,
        why: ['refused'],
      },
    ])
  })

  it('K-OBSERVE is of lineage where it came from another, and where it would have been refused', async () => {
    const root = makeEntry(gateway.current(), [], { timestamp_ms: NOW - DAY })
    const entry = made(orders, 1, [], { parents: [root], operation: 'read' })
    const within = made(orders, 1, [], { parents: [entry], operation: 'within' })
    const dropped = made(payments, 1, [item('ERR_KEST_LINEAGE_MISSING', null, 'lineage')])
    const { rows } = await observed([root, entry, within, dropped])
    const lineage = rows.filter(({ tier }) => tier === 'lineage')
    expect(lineage.map(({ operation, asked, refused }) => [operation, asked, refused.size])).toEqual([
      ['read', 1, 0],
      ['GET /orders/:id', 1, 1],
    ])
  })
})

describe('ready to be enforced', () => {
  it('K-OBSERVE is what was not refused for as many days of records, and nothing else', async () => {
    const allowed = [made(orders, 8), made(orders, 0)]
    expect(await row(allowed)).toMatchObject({ ready: true, why: [] })
    expect(await row(allowed, { days: 9 })).toMatchObject({ ready: false, why: ['too-few-days'] })
    expect(await row([made(orders, 9, [item('ERR_KEST_DENIED')]), ...allowed])).toMatchObject({ ready: true })
    expect(await row([...allowed, made(orders, 6, [item('ERR_KEST_DENIED')])])).toMatchObject({
      why: ['refused'],
    })
    const other = [made(payments, 8), made(payments, 0)]
    const { rows } = await observed([made(orders, 8), made(orders, 7.5), ...other])
    expect(rows.map(({ ready }) => ready).sort()).toEqual([false, true])
  })

  it('K-OBSERVE is nothing that was not asked each time', async () => {
    const entries = [made(orders, 8), made(orders, 1, [item('ERR_KEST_NOT_ASKED')]), made(orders, 0)]
    expect(await row(entries)).toMatchObject({ asked: 2, notAsked: 1, ready: false, why: ['not-asked'] })
  })

  it.each([
    [
      'counts refusals that it does not list',
      JSON.stringify([item('ERR_KEST_DENIED', 'x')]),
      { 'kest.observed_left_out': '3' },
    ],
    ['is no list', 'none', {}],
    ['lists what is no refusal', JSON.stringify([item('ERR_KEST_DENIED', 'x'), 7]), {}],
  ])('K-OBSERVE is nothing of an operation of which an entry %s', async (_, label, labels) => {
    const claim = { labels, policy_context: { ...POLICIES, function_policies: [] } }
    const { rows } = await observed([made(orders, 8), made(orders, 1, label, claim), made(orders, 0)])
    const read = rows.find(({ policy }) => policy === 'orders/read')
    expect(read).toMatchObject({ asked: 2, ready: false, why: ['left-out'] })
  })

  it('K-OBSERVE is nothing by a record that is not proven, which can only take away', async () => {
    const missing = makeEntry(gateway.current(), [], { timestamp_ms: NOW - 9 * DAY })
    const hanging = (refused: readonly object[] = []) => made(orders, 8, refused, { parents: [missing] })
    expect(
      (await observed([hanging(), made(orders, 0)])).rows.find(({ tier }) => tier === 'function'),
    ).toMatchObject({
      asked: 1,
      why: ['too-few-days'],
    })
    const denied = made(orders, 1, [item('ERR_KEST_DENIED')], { parents: [missing] })
    const { rows } = await observed([made(orders, 8), denied, made(orders, 0)])
    expect(rows.find(({ tier }) => tier === 'function')).toMatchObject({
      why: ['refused', 'records-missing'],
    })
    const forged = made(stranger, 8, [item('ERR_KEST_DENIED')])
    const report = await observed([forged, made(orders, 8), made(orders, 0)])
    expect(report).toMatchObject({ unproven: 1, rows: [{ workload: orders.getWorkloadId(), ready: true }] })
  })

  it('K-OBSERVE is nothing where numbers of a process are missing', async () => {
    const seq = (n: number) => ({ labels: { 'kest.seq': `0189aaaa-0000-4000-8000-000000000000:${n}` } })
    const entries = [made(orders, 8, [], seq(1)), made(orders, 0, [], seq(3))]
    expect(await row(entries)).toMatchObject({ ready: false, why: ['records-missing'] })
    expect(await row([...entries, made(orders, 1, [], seq(2))])).toMatchObject({ ready: true })
  })

  it('K-OBSERVE is nothing where an entry of these days builds on one that was not exported', async () => {
    const lost = made(payments, 2, [item('ERR_KEST_DENIED')])
    const behind = (days: number) => made(orders, days, [], { parents: [lost], operation: 'behind' })
    const ofPayments = [made(payments, 8), made(payments, 0)]
    const why = async (entries: readonly MadeEntry[]) =>
      (await observed(entries, { service: 'payments' })).rows.map((one) => one.why)
    expect(await why([...ofPayments, behind(1)])).toEqual([['records-missing']])
    expect(await why([...ofPayments, behind(7.5)])).toEqual([[]])
  })

  it('K-OBSERVE is not moved by who dates its entries ahead', async () => {
    const ahead = made(payments, -1_000)
    const { rows, until } = await observed([
      ahead,
      made(orders, 8),
      made(orders, 6, [item('ERR_KEST_DENIED')]),
      made(orders, 0),
    ])
    expect(until).toBe(NOW)
    expect(rows.map(({ ready }) => ready)).toEqual([false, false])
  })
})

describe('names that a service invents', () => {
  it('K-OBSERVE are bounded for each, counted beyond, and crowd out nobody else', async () => {
    const tally = new ObservedTally({ now: NOW })
    const template = await auditOf([
      spanOf(made(orders, 8)),
      spanOf(made(payments, 8)),
      spanOf(made(payments, 0)),
    ])
    const one = template.traces.flatMap(({ entries }) => entries).find(({ service }) => service === 'orders')
    const [trace] = template.traces
    if (trace === undefined || one === undefined) expect.fail('no trace')
    const entries = Array.from({ length: 5_000 }, (_, index) => {
      return { ...one, hash: String(index), entry: { ...one.entry, operation: `invented ${index}` } }
    })
    tally.add({ ...trace, entries })
    for (const other of template.traces) tally.add(other)
    const { rows, leftOut } = tally.report(template.summary)
    expect(rows.length).toBeLessThanOrEqual(2_000)
    expect(leftOut).toBe(5_001 - rows.filter(({ workload }) => workload === orders.getWorkloadId()).length)
    expect(rows.find(({ workload }) => workload === payments.getWorkloadId())).toMatchObject({ ready: true })
  })

  it('K-OBSERVE a caller is named as far as 16, and codes are those that there are', async () => {
    const { traces, summary } = await auditOf([spanOf(made(orders, 1, [item('ERR_INVENTED')]))])
    const [trace] = traces
    const [one] = trace?.entries ?? []
    if (trace === undefined || one === undefined) expect.fail('no trace')
    const tally = new ObservedTally({ now: NOW })
    for (let index = 0; index < 20; index++) {
      const caller = { ...one, principal: `caller ${index}`, hash: 'c', parents: [] }
      tally.add({
        ...trace,
        entries: [
          { ...caller, source: 'foreign' },
          { ...one, parents: ['c'] },
        ],
      })
    }
    const [row] = tally.report(summary).rows.filter(({ tier }) => tier === 'function')
    expect(row).toMatchObject({ asked: 20, refused: new Map([['_OTHER', 20]]), otherCallers: 4 })
    expect(row?.callers).toHaveLength(16)
  })
})
