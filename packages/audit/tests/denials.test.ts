import { ATTRIBUTE, createKeySource, KestError, parseEvidence, verifyEvidence } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { evidenceOf, type TraceReport } from '../src/index.js'
import { makeDenial, signedDenialOf } from '../src/testing/make-denial.js'
import { type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { type OtlpSpan, spanOf, withoutEntry } from '../src/testing/make-span.js'
import { auditOf, gateway, general, orders, payments, stranger, trust } from './support/audit.js'

const PROCESS = '3f2b8c1e-0000-4000-9000-000000000001'
const keys = Object.fromEntries(
  [gateway, orders, payments].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]]),
)

function chain(): [MadeEntry, MadeEntry] {
  const first = makeEntry(gateway.current(), [])
  return [first, makeEntry(orders.current(), [first])]
}

async function reportOf(...spans: readonly OtlpSpan[]): Promise<TraceReport> {
  const { traces } = await auditOf(spans)
  expect(traces).toHaveLength(1)
  return traces[0] as TraceReport
}

const codes = ({ findings }: TraceReport): string[] => findings.map(({ code }) => code)

describe('K-DENIAL an audit', () => {
  it('K-DENIAL says who refused what, why and on what it would have built, as it is signed', async () => {
    const [first, second] = chain()
    const made = makeDenial(payments.current(), [second], { n: `${PROCESS}:1`, unsigned: 7 })
    const report = await reportOf(spanOf(first), spanOf(second), signedDenialOf(made))
    expect(report).toMatchObject({
      verdict: 'verified',
      findings: [],
      denialCount: 1,
      denials: [
        {
          proof: 'signed',
          operation: 'GET /orders/:id',
          workloadId: payments.getWorkloadId(),
          code: 'ERR_KEST_DENIED',
          parents: [second.hash],
          signed: { jws: made.jws, policies: ['orders/read'], number: `${PROCESS}:1`, unsigned: 7 },
        },
      ],
    })
    expect(report.entries).toHaveLength(2)
    expect(report.tips).toEqual([second.hash])
  })

  it('K-DENIAL finds it in its trace, whatever trace its span is in, or says that it is of', async () => {
    const [first, second] = chain()
    const span = signedDenialOf(makeDenial(payments.current(), [second]))
    span.traceId = 'd'.repeat(32)
    span.attributes[ATTRIBUTE.traceId] = 'd'.repeat(32)
    const report = await reportOf(spanOf(first), spanOf(second), span)
    expect(report.denials).toMatchObject([{ proof: 'signed' }])
    expect(codes(report)).toEqual(['attribute-differs'])
  })

  it('K-DENIAL believes none of one that its principal has not signed, and says so', async () => {
    const [first, second] = chain()
    const forged = makeDenial(stranger.current(), [second], { principal: payments.getWorkloadId() })
    const unknown = makeDenial(stranger.current(), [second])
    for (const [made, cause] of [
      [forged, 'ERR_KEST_SIGNATURE'],
      [unknown, 'ERR_KEST_KEY_UNKNOWN'],
    ] as const) {
      const report = await reportOf(spanOf(first), spanOf(second), signedDenialOf(made))
      expect(report).toMatchObject({
        verdict: 'verified',
        denials: [{ proof: 'failed', signed: null }],
        findings: [{ code: 'denial-broken', severity: 'error', cause }],
      })
    }
  })

  it.each<[string, (made: MadeEntry) => unknown]>([
    ['an entry', ({ jws }) => jws],
    ['nonsense', () => '<script>'],
    ['a number', () => 7],
    ['too long a text', () => 'a'.repeat(70_000)],
  ])('K-DENIAL takes no denial of %s', async (_, claim) => {
    const [first, second] = chain()
    const span = signedDenialOf(makeDenial(payments.current(), [second]))
    span.attributes[ATTRIBUTE.denial] = claim(second)
    const report = await reportOf(spanOf(first), spanOf(second), span)
    expect(report).toMatchObject({ verdict: 'verified', denials: [{ proof: 'failed' }], denialCount: 1 })
    expect(codes(report)).toEqual(['denial-broken'])
  })

  it('K-DENIAL takes no entry of a denial, and no parent either', async () => {
    const [first, second] = chain()
    const made = makeDenial(payments.current(), [second])
    const span = signedDenialOf(made)
    span.attributes[ATTRIBUTE.signature] = made.jws
    delete span.attributes[ATTRIBUTE.denial]
    const report = await reportOf(spanOf(first), spanOf(second), span)
    expect(report.entries).toHaveLength(2)
    expect(codes(report)).toEqual(['malformed'])
    const listed = signedDenialOf(made)
    const hash = (await reportOf(spanOf(first), spanOf(second), listed)).denials[0]?.signed?.hash
    const child = makeEntry(payments.current(), [second], { parent_ids: [hash as string] })
    expect(codes(await reportOf(spanOf(first), spanOf(second), listed, spanOf(child)))).toContain(
      'incomplete',
    )
  })

  it('K-DENIAL does not hide that a span tells of an authorization', async () => {
    const [first, second] = chain()
    const span = withoutEntry(spanOf(second))
    span.attributes[ATTRIBUTE.chainTip] = second.hash
    span.attributes[ATTRIBUTE.denial] = makeDenial(orders.current(), [first]).jws
    expect(codes(await reportOf(spanOf(first), span))).toContain('cut')
  })

  it('K-DENIAL misses an entry that it builds on and nobody exported: its principal has had it', async () => {
    const [first, second] = chain()
    const report = await reportOf(spanOf(first), signedDenialOf(makeDenial(payments.current(), [second])))
    expect(report).toMatchObject({
      verdict: 'incomplete',
      findings: [{ code: 'cut', entryHash: second.hash }],
    })
  })

  it('K-DENIAL misses no entry of another trace, where what was refused would have joined two', async () => {
    const [one, other] = ['a', 'b'].map((digit) =>
      makeEntry(gateway.current(), [], { labels: { trace_id: digit.repeat(32) } }),
    ) as [MadeEntry, MadeEntry]
    const span = signedDenialOf(makeDenial(payments.current(), [one, other], { trace_id: null }))
    for (const trace of ['a', 'c']) {
      span.traceId = trace.repeat(32)
      span.attributes[ATTRIBUTE.traceId] = span.traceId
      const { traces } = await auditOf([spanOf(one), spanOf(other), span])
      expect(traces.flatMap(codes)).toEqual([])
      expect(traces.filter(({ denials }) => denials.length > 0)).toMatchObject([{ traceId: span.traceId }])
    }
  })

  it('K-DENIAL K-AUDIT misses a number of a process’ denials, and no entry’s number is missed for it', async () => {
    const first = makeEntry(gateway.current(), [], { labels: { 'kest.seq': `${PROCESS}:1` } })
    const next = makeEntry(gateway.current(), [first], { labels: { 'kest.seq': `${PROCESS}:2` } })
    const denials = [1, 3].map((n) => makeDenial(gateway.current(), [first], { n: `${PROCESS}:${n}` }))
    const audited = await auditOf([spanOf(first), spanOf(next), ...denials.map((one) => signedDenialOf(one))])
    expect(general(audited)).toEqual([
      ['sequence-gap', expect.stringMatching(/^denials of process 3f2b8c1e-.*: number 2 is missing$/)],
    ])
  })

  it('K-DENIAL K-AUDIT counts per principal and process: a number of another principal’s process is an error', async () => {
    const [first] = chain()
    const two = [gateway, orders].map((one, i) =>
      signedDenialOf(makeDenial(one.current(), [first], { n: `${PROCESS}:${i + 1}` })),
    )
    const audited = await auditOf([spanOf(first), ...two])
    expect(general(audited)).toEqual([['sequence-shared', expect.stringContaining(orders.getWorkloadId())]])
  })

  it('K-DENIAL counts one that was exported twice once, and none that is lost by being failed', async () => {
    const [first] = chain()
    const span = signedDenialOf(makeDenial(gateway.current(), [first]))
    const audited = await auditOf([spanOf(first), span, span])
    expect(general(audited)).toEqual([])
    expect(audited.traces[0]?.denials).toHaveLength(1)
    expect(audited.summary.denials).toBe(1)
  })

  it('K-DENIAL lists all that are signed, however many that are not are beside them', async () => {
    const [first] = chain()
    const span = signedDenialOf(makeDenial(gateway.current(), [first]))
    const unsigned = signedDenialOf(makeDenial(gateway.current(), [first]))
    delete unsigned.attributes[ATTRIBUTE.denial]
    const { traces } = await auditOf([spanOf(first), ...Array.from({ length: 1_200 }, () => unsigned), span])
    expect(traces[0]?.denialCount).toBe(1_201)
    expect(traces[0]?.denials).toHaveLength(1_001)
    expect(traces[0]?.denials[0]?.proof).toBe('signed')
  })

  it('K-DENIAL an outage of a key source fails nothing in silence', async () => {
    const [first] = chain()
    const down = {
      ...createKeySource({}),
      find: () => {
        throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', 'down')
      },
    }
    const span = signedDenialOf(makeDenial(stranger.current(), [first]))
    const { traces } = await auditOf([spanOf(first), span], { trust: [trust, down] })
    expect(traces[0]?.findings).toMatchObject([{ code: 'denial-broken', cause: 'ERR_KEST_KEYS_UNAVAILABLE' }])
  })
})

describe('K-DENIAL evidence of a trace', () => {
  const read = (evidence: object) => verifyEvidence(parseEvidence(JSON.stringify(evidence)))

  it('K-DENIAL has the signed denials beside the passport', async () => {
    const [first, second] = chain()
    const made = makeDenial(payments.current(), [second])
    const forged = makeDenial(stranger.current(), [second], { principal: payments.getWorkloadId() })
    const spans = [first, second].map((one) => spanOf(one))
    const report = await reportOf(...spans, signedDenialOf(made), signedDenialOf(forged))
    const evidence = evidenceOf(report, { trust: { keys } })
    expect(evidence).toMatchObject({ passport: [first.jws, second.jws], denials: [made.jws] })
    expect((await read(evidence)).denials).toMatchObject([{ principal: payments.getWorkloadId() }])
  })

  it('K-DENIAL of one lineage has those that build on it', async () => {
    const [first, second] = chain()
    const [on, off] = [first, second].map((one) => makeDenial(payments.current(), [one])) as [
      ReturnType<typeof makeDenial>,
      ReturnType<typeof makeDenial>,
    ]
    const report = await reportOf(spanOf(first), spanOf(second), signedDenialOf(on), signedDenialOf(off))
    expect(evidenceOf(report, { trust: { keys }, tip: first.hash })).toMatchObject({ denials: [on.jws] })
  })

  it('K-DENIAL of a trace that somebody had refused too often can be had without them', async () => {
    const [first, second] = chain()
    const many = Array.from({ length: 257 }, () => signedDenialOf(makeDenial(payments.current(), [second])))
    const report = await reportOf(spanOf(first), spanOf(second), ...many)
    for (const part of [{}, { tip: second.hash }]) {
      expect(() => evidenceOf(report, { trust: { keys }, ...part })).toThrow(/257 denials; at most 256/)
      const evidence = evidenceOf(report, { trust: { keys }, ...part, denials: false })
      await expect(read(evidence)).resolves.toMatchObject({ denials: [] })
    }
  })

  it('K-DENIAL of what an edge refused has nothing else; of what is only said there is none', async () => {
    const made = makeDenial(gateway.current(), [])
    const report = await reportOf(signedDenialOf(made))
    expect(report.verdict).toBe('empty')
    const evidence = evidenceOf(report, { trust: { keys } })
    expect(evidence).toMatchObject({ passport: [], denials: [made.jws] })
    expect(evidence).not.toHaveProperty('tip')
    expect(() => evidenceOf(report, { trust: { keys }, denials: false })).toThrow(/without an entry/)
    await expect(read(evidence)).resolves.toMatchObject({ denials: [{ denial: made.denial }] })
    const said = signedDenialOf(made)
    delete said.attributes[ATTRIBUTE.denial]
    const unsigned = await reportOf(said)
    expect(() => evidenceOf(unsigned, { trust: { keys } })).toThrow(/without an entry/)
  })
})
