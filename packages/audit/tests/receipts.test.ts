import { LABEL } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { evidenceOf, type TraceReport } from '../src/index.js'
import { type MadeEntry, makeEntry, makeOutcome } from '../src/testing/make-entry.js'
import { type OtlpSpan, receiptOf, spanOf } from '../src/testing/make-span.js'
import { auditOf, gateway, orders, payments, stranger } from './support/audit.js'

async function reportOf(...spans: readonly OtlpSpan[]): Promise<TraceReport> {
  const { traces } = await auditOf(spans)
  expect(traces).toHaveLength(1)
  return traces[0] as TraceReport
}

const codes = ({ findings }: TraceReport): string[] => findings.map(({ code }) => code)
const words = ({ findings }: TraceReport): string => findings.map(({ message }) => message).join('\n')

/** gateway calls orders, which calls payments; each callee's entry comes back, and how the caller ended names it. */
function chain() {
  const first = makeEntry(gateway.current(), [])
  const second = makeEntry(orders.current(), [first], { labels: { [LABEL.call]: 'A'.repeat(22) } })
  const third = makeEntry(payments.current(), [second], { labels: { [LABEL.call]: `${'B'.repeat(21)}A` } })
  const ends = [
    makeOutcome(gateway.current(), first, { labels: { [LABEL.receipts]: second.hash } }),
    makeOutcome(orders.current(), second, { labels: { [LABEL.receipts]: third.hash } }),
    makeOutcome(payments.current(), third),
  ] as const
  return { first, second, third, ends, receipts: [receiptOf(second), receiptOf(third)] as const }
}

describe('receipts', () => {
  it('K-RECEIPT what every process exported contradicts nobody, and receipts are no entries', async () => {
    const { first, second, third, ends, receipts } = chain()
    const report = await reportOf(...[first, second, third, ...ends].map((one) => spanOf(one)), ...receipts)
    expect(report).toMatchObject({ verdict: 'verified', findings: [], tips: [third.hash] })
    expect(report.entries).toHaveLength(6)
    expect(report.receipts).toMatchObject([
      {
        hash: second.hash,
        principal: orders.getWorkloadId(),
        holder: gateway.getWorkloadId(),
        exported: true,
      },
      {
        hash: third.hash,
        principal: payments.getWorkloadId(),
        holder: orders.getWorkloadId(),
        exported: true,
      },
    ])
    expect(report.receipts[0]?.namedBy).toEqual([ends[0].hash])
  })

  it('K-RECEIPT a neighbour that holds what a process did not export contradicts it, and both are named', async () => {
    const { first, second, ends, receipts } = chain()
    // All that payments made is gone, and so is what orders would have shown of it.
    const report = await reportOf(...[first, second, ends[0], ends[1]].map((one) => spanOf(one)), receipts[1])
    expect(report.verdict).toBe('incomplete')
    expect(codes(report)).toEqual(['receipt-without-span'])
    expect(words(report)).toContain(`${orders.getWorkloadId()} has signed that it holds entry`)
    expect(words(report)).toContain(`of ${payments.getWorkloadId()} (GET /orders/:id)`)
  })

  it('K-RECEIPT it is found also where the receipt’s span was dropped, by what its holder has signed', async () => {
    const { first, second, ends } = chain()
    const report = await reportOf(...[first, second, ends[0], ends[1]].map((one) => spanOf(one)))
    expect(codes(report)).toEqual(['receipt-without-span'])
    expect(words(report)).toContain(`${orders.getWorkloadId()} has signed that it holds the receipt`)
  })

  it('K-RECEIPT it is found also where nobody signed that he holds it: its signer names whom he answered', async () => {
    const { first, receipts } = chain()
    const report = await reportOf(spanOf(first), receipts[0])
    expect(codes(report)).toEqual(['receipt-without-span'])
    expect(words(report)).toContain(`${gateway.getWorkloadId()} holds entry`)
  })

  it('K-RECEIPT a receipt that its principal has not signed contradicts nobody', async () => {
    const { first, second, third } = chain()
    const forged: MadeEntry = { ...third, jws: `${third.jws.slice(0, -8)}AAAAAAAA` }
    const report = await reportOf(
      spanOf(first),
      spanOf(second),
      receiptOf(forged),
      receiptOf(makeEntry(stranger.current(), [second])),
      receiptOf({ ...third, jws: 'no.entry' }),
    )
    expect(codes(report)).toEqual(['receipt-broken', 'receipt-broken', 'receipt-broken'])
    expect(report).toMatchObject({ verdict: 'verified', receipts: [] })
  })

  it('K-RECEIPT one that a passport has, and no span of its own process, is missing all the same', async () => {
    const { first, second, third, receipts } = chain()
    const report = await reportOf(spanOf(first), spanOf(third, [first, second, third]), receipts[0])
    expect(codes(report)).toContain('receipt-without-span')
  })

  it('K-RECEIPT a receipt repairs nothing: what builds on the missing entry is as unproven as without', async () => {
    const { first, third, receipts } = chain()
    const report = await reportOf(spanOf(first), spanOf(third), receipts[0])
    expect(codes(report).sort()).toEqual(['incomplete', 'receipt-without-span'])
    expect(report.entries.find(({ hash }) => hash === third.hash)?.status).toBe('signed')
  })
})

describe('how operations ended', () => {
  it('K-OUTCOME is no operation, no tip and no branch, and evidence is of the lineage without it', async () => {
    const { first, second, third, ends } = chain()
    const report = await reportOf(...[first, second, third, ...ends].map((one) => spanOf(one)))
    expect(
      report.entries.filter(({ outcomeOf }) => outcomeOf !== null).map(({ outcomeOf }) => outcomeOf),
    ).toEqual(expect.arrayContaining([first.hash, second.hash, third.hash]))
    expect(codes(report)).toEqual([])
    expect(report.passport?.length).toBe(3)
    const keys = Object.fromEntries(
      [gateway, orders, payments].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]]),
    )
    const evidence = evidenceOf(report, { trust: { keys } }) as { readonly passport: readonly string[] }
    expect(evidence.passport).toHaveLength(3)
    expect(evidenceOf(report, { trust: { keys }, tip: ends[0].hash })).toMatchObject({
      passport: [first.jws, ends[0].jws],
    })
  })

  it('K-OUTCOME one that is of no operation, or the second of one, is found', async () => {
    const { first, second, ends } = chain()
    const alien = makeOutcome(orders.current(), first)
    const again = makeOutcome(gateway.current(), first, { labels: { [LABEL.outcome]: 'failed' } })
    const report = await reportOf(
      ...[first, second, ends[0], alien, again].map((one) => spanOf(one)),
      receiptOf(second),
    )
    expect(codes(report).filter((code) => code === 'outcome-differs')).toHaveLength(2)
  })

  it('K-OUTCOME an operation that began, and of which nothing says how it ended, is as sound as ever', async () => {
    const { first, second, receipts, ends } = chain()
    const report = await reportOf(spanOf(first), spanOf(second), spanOf(ends[0]), receipts[0])
    expect(report).toMatchObject({ verdict: 'verified', findings: [] })
  })
})
