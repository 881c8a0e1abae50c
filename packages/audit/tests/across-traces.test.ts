import { generateKeyPairSync } from 'node:crypto'
import { ATTRIBUTE, createKeyIdentity, createKeySource } from '@kest/core'
import type { MockIdentityProvider } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import { type JudgedLineage, type LineageSource, readOtlp, TraceJudge } from '../src/index.js'
import { type EntryClaim, EVERYBODY, type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { otlpLine, spanOf } from '../src/testing/make-span.js'
import { twinOf } from '../src/testing/plant.js'
import { auditOf, gateway, general, orders, payments, stranger, trust } from './support/audit.js'

const PROCESS = '3f2b8c1e-0000-4000-8000-000000000001'
const HOUR = 3_600_000
const NAMES = {
  gateway: gateway.getWorkloadId(),
  orders: orders.getWorkloadId(),
  payments: payments.getWorkloadId(),
}
const NOON = Date.UTC(2026, 0, 31, 12)

/** An entry that begins a trace of its own, with a number. */
function numbered(
  signer: MockIdentityProvider,
  number: number,
  claim: EntryClaim = {},
  process = PROCESS,
): MadeEntry {
  return makeEntry(signer.current(), [], {
    ...claim,
    labels: { 'kest.seq': `${process}:${number}`, ...claim.labels },
  })
}

const spansOf = (...made: readonly MadeEntry[]) => made.map((one) => spanOf(one))

describe('the numbers of processes', () => {
  it('K-AUDIT a gap is not filled by an entry that nobody has shown to have signed', async () => {
    const forged = numbered(stranger, 2)
    const { jws } = numbered(gateway, 2)
    const altered = { ...forged, jws: `${jws.slice(0, -86)}${'A'.repeat(86)}` }
    for (const filler of [forged, altered]) {
      const audited = await auditOf(spansOf(numbered(gateway, 1), filler, numbered(gateway, 3)))
      expect(general(audited)).toEqual([['sequence-gap', expect.stringContaining('number 2 is missing')]])
    }
  })

  it("K-AUDIT an insider does not fill a gap of his neighbour's by signing the missing numbers himself", async () => {
    const audited = await auditOf(
      spansOf(numbered(gateway, 1), numbered(orders, 2), numbered(orders, 3), numbered(gateway, 4)),
    )
    expect(general(audited)).toEqual([
      ['sequence-shared', `process ${PROCESS}: its numbers are signed by ${NAMES.gateway}, ${NAMES.orders}`],
      ['sequence-gap', `process ${PROCESS} (${NAMES.gateway}): numbers 2 to 3 are missing`],
    ])
    expect(audited.summary.general.every(({ severity }) => severity === 'error')).toBe(true)
  })

  it('K-AUDIT principals of whom the operator says that they share a process are numbered together', async () => {
    const spans = spansOf(numbered(gateway, 1), numbered(orders, 2), numbered(gateway, 4))
    expect(general(await auditOf(spans, { shared: [[NAMES.gateway, NAMES.orders]] }))).toEqual([
      ['sequence-gap', `process ${PROCESS} (${NAMES.gateway}, ${NAMES.orders}): number 3 is missing`],
    ])
    const others = await auditOf(spans, { shared: [[NAMES.gateway, NAMES.payments]] })
    expect(others.summary.findings.get('sequence-shared')).toBe(1)
  })

  it.each([
    ['no lists', ['gateway']],
    ['one principal twice', [['gateway', 'orders'], ['orders']]],
  ])('refuses %s of principals that share a process', async (_, shared) => {
    await expect(auditOf([], { shared: shared as string[][] })).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
      message: expect.stringContaining('shared'),
    })
  })

  it('K-AUDIT first numbers are a note where a process may have begun before the export', async () => {
    const audited = await auditOf(
      spansOf(
        numbered(gateway, 7, { timestamp_ms: NOON }),
        numbered(gateway, 8, { timestamp_ms: NOON + HOUR }),
      ),
    )
    expect(audited.summary.general).toMatchObject([{ code: 'sequence-start', severity: 'note' }])
  })

  it('K-AUDIT first numbers are a warning where a passport has one of them', async () => {
    const lost = numbered(gateway, 2)
    const next = makeEntry(orders.current(), [lost])
    const audited = await auditOf([spanOf(next, [lost, next]), spanOf(numbered(gateway, 3))])
    expect(audited.summary.general).toMatchObject([
      {
        code: 'sequence-late',
        severity: 'warning',
        message: expect.stringContaining('a passport has number 2'),
      },
    ])
  })

  it('K-AUDIT first numbers are a warning where the same service was exported long before', async () => {
    const other = PROCESS.replace(/1$/, '2')
    const before = numbered(gateway, 1, { timestamp_ms: NOON }, other)
    const audited = await auditOf(spansOf(before, numbered(gateway, 4, { timestamp_ms: NOON + 2 * HOUR })))
    expect(general(audited)).toEqual([
      [
        'sequence-late',
        `process ${PROCESS} (${NAMES.gateway}): its numbers begin at 4, 7200 s after the first entry of its principal`,
      ],
    ])
  })

  it('K-LOWS twins that are both built on have one number, and are one root', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const python = createKeyIdentity('urn:python', privateKey)
    const keys = createKeySource({ 'urn:python': [publicKey.export({ format: 'jwk' })] })
    const claim = (n: number): EntryClaim => ({
      runtime: { name: 'kest-python', version: '0.3.0' },
      labels: { 'kest.seq': `${PROCESS}:${n}` },
    })
    const first = makeEntry(python.current(), [], claim(1))
    const twin = { ...first, ...twinOf(first) }
    const [one, other] = [
      makeEntry(python.current(), [first], claim(2)),
      makeEntry(python.current(), [twin], claim(3)),
    ]
    const roots = [{ workload: 'urn:python', ceiling: 100 }]
    const audited = await auditOf(spansOf(first, twin, one, other), { trust: keys, roots })
    expect(audited.summary.verdicts.verified).toBe(1)
    expect([...audited.summary.findings]).toEqual([['duplicated', 1]])
  })

  it('are judged the same however many processes there are, from memory or from files', async () => {
    const lost = 1_500
    const made = Array.from({ length: 3_000 }, (_, n) => {
      const process = `3f2b8c1e-0000-4000-8000-${String(n).padStart(12, '0')}`
      return [numbered(gateway, 1, {}, process), numbered(gateway, n === lost ? 3 : 2, {}, process)]
    })
    for (const memory of [50_000, 67_108_864]) {
      const audited = await auditOf(spansOf(...made.flat()), { memory })
      expect(general(audited)).toEqual([
        ['sequence-gap', expect.stringContaining(`000000001500 (${NAMES.gateway}): number 2`)],
      ])
    }
  })

  it('K-LIMIT that lie too far apart to be held are an error, and not passed over', async () => {
    const { NumberSet } = await import('../src/judge/number-set.js')
    const numbers = new NumberSet()
    for (let n = 0; n < 32_768; n++) numbers.add(n * 4_096)
    expect(numbers.beyond).toBe(0)
    expect(numbers.add(1)).toBe(true)
    expect(numbers.add(10 ** 14)).toBe(true)
    expect(numbers.beyond).toBe(1)
  })
})

describe('what traces have of each other', () => {
  it('K-ONCE an entry_id in two traces is a finding', async () => {
    const first = makeEntry(gateway.current(), [])
    const other = makeEntry(orders.current(), [], { entry_id: first.entry.entry_id })
    const audited = await auditOf(spansOf(first, other))
    expect(audited.summary.general).toMatchObject([
      {
        code: 'entry-id-repeated',
        severity: 'error',
        message: expect.stringContaining(`its entry_id, ${first.entry.entry_id}, is also that of entry `),
      },
    ])
    const of = audited.summary.general[0]
    expect(
      [first.hash, other.hash].filter((hash) => of?.message.includes(hash) || of?.entryHash === hash),
    ).toHaveLength(2)
  })

  it('K-ONCE an entry_id is not repeated by who was not shown to have signed, nor by an entry of two lineages', async () => {
    const first = makeEntry(gateway.current(), [])
    const forged = makeEntry(stranger.current(), [], { entry_id: first.entry.entry_id })
    const job = makeEntry(orders.current(), [first], { labels: { trace_id: 'b'.repeat(32) } })
    const audited = await auditOf(spansOf(first, forged, job))
    expect(general(audited)).toEqual([])
  })

  it('K-AUDIT lineages without a trace id go on from traces, and are judged once each, in memory and from files', async () => {
    const untraced: EntryClaim = { labels: { trace_id: undefined } }
    const lineages = Array.from({ length: 20 }, () => {
      const elsewhere = makeEntry(gateway.current(), [])
      const first = makeEntry(orders.current(), [elsewhere], untraced)
      const alone = makeEntry(orders.current(), [], untraced)
      return [elsewhere, first, makeEntry(payments.current(), [first], untraced), alone]
    })
    for (const memory of [4_000, 67_108_864]) {
      const { summary } = await auditOf(spansOf(...lineages.flat()), { memory })
      expect(summary.verdicts).toEqual({ verified: 60, incomplete: 0, broken: 0, empty: 0 })
      expect(summary.entries).toBe(80)
    }
  })

  it('a trace with one root that goes on from another trace has no second one', async () => {
    const elsewhere = makeEntry(gateway.current(), [])
    const trace = { labels: { trace_id: 'c'.repeat(32) } }
    const root = makeEntry(orders.current(), [], trace)
    const joined = makeEntry(payments.current(), [root, elsewhere], trace)
    const { traces } = await auditOf(spansOf(elsewhere, root, joined))
    const report = traces.find(({ traceId }) => traceId === 'c'.repeat(32))
    expect(report?.verdict).toBe('verified')
    expect(report?.findings.map(({ code }) => code)).toEqual(['trace-differs'])
  })

  it('K-AUDIT what a source says that it did not look for is not said to be missing, and what else is not there is', async () => {
    const [first, second, third] = [1, 2, 3].map(() => makeEntry(gateway.current(), [])) as [
      MadeEntry,
      MadeEntry,
      MadeEntry,
    ]
    const traceId = 'd'.repeat(32)
    const child = makeEntry(orders.current(), [first, second], { labels: { trace_id: traceId } })
    const { [ATTRIBUTE.signature]: _, ...attributes } = spanOf(third).attributes
    const claiming = { ...spanOf(third), traceId, attributes }
    const bytes = Buffer.from(otlpLine('any', [spanOf(child), claiming]))
    const place = { file: 'x', line: 1 }
    const { spans } = readOtlp({ encoding: 'json', bytes, place, receivedAt: null })
    const unsought = new Set<string>()
    const source: LineageSource = {
      lineages: () => [{ id: 'any', traceId, spans }],
      entries: async function* (named) {
        for (const hash of named) if (hash !== second.hash) unsought.add(hash)
        yield { signatures: () => [] }
      },
      unsought,
    }
    const judged: JudgedLineage[] = []
    for await (const one of new TraceJudge({ trust, roots: EVERYBODY }).judge(source)) judged.push(one)
    expect(judged).toMatchObject([{ report: { verdict: 'incomplete' }, wanting: true }])
    const found = judged[0]?.report.findings.map(({ code, message }) => [code, message])
    expect(found).toEqual([
      ['limit', expect.stringMatching(`entry ${third.hash} .* was not looked for`)],
      ['limit', expect.stringMatching(`entry ${first.hash} .* was not looked for`)],
      ['incomplete', `a parent, ${second.hash} was never exported`],
    ])
  })

  it('K-AUDIT K-LIMIT what is further away, in traces one after the other, than is followed is not said to be missing', async () => {
    const chain = [makeEntry(gateway.current(), [])]
    for (let n = 1; n < 40; n++) chain.push(makeEntry(gateway.current(), [chain[n - 1] as MadeEntry]))
    const traceId = 'e'.repeat(32)
    const own = { labels: { trace_id: traceId } }
    const child = makeEntry(orders.current(), [chain[39] as MadeEntry, makeEntry(gateway.current(), [])], own)
    const bytes = Buffer.from(otlpLine('any', [spanOf(child)]))
    const { spans } = readOtlp({ encoding: 'json', bytes, place: { file: 'x', line: 1 }, receivedAt: null })
    const source: LineageSource = {
      lineages: () => [{ id: 'any', traceId, spans }],
      // Whoever is named has gone by when the name is known: one is found each time that all are looked through.
      entries: async function* () {
        for (const { jws } of chain) yield { signatures: () => [jws] }
      },
    }
    const noted: string[] = []
    const judged: JudgedLineage[] = []
    const judge = new TraceJudge({ trust, roots: EVERYBODY })
    for await (const one of judge.judge(source, ({ code, message }) => noted.push(`${code} ${message}`)))
      judged.push(one)
    expect(judged[0]?.report.verdict).toBe('incomplete')
    const found = judged[0]?.report.findings.filter(({ code }) => code === 'limit' || code === 'incomplete')
    // 32 of them were found, and what the last of those names was looked for by nobody; the other parent is nowhere.
    expect(found?.map(({ code, message }) => [code, message])).toEqual([
      ['limit', expect.stringMatching(`entry ${chain[7]?.hash} .* was not looked for`)],
      ['incomplete', expect.stringMatching(/^a parent, [0-9a-f]{64} was never exported$/)],
    ])
    expect(noted).toEqual([
      'limit lineages go on in more traces, or in more entries of them, than were followed',
    ])
  })
})

describe('raises of trust and removals of taints', () => {
  const root = makeEntry(gateway.current(), [], { added_taints: ['pii', 'web'], taints: ['pii', 'web'] })
  const raise = makeEntry(orders.current(), [root], {
    trust_score: 90,
    labels: { 'kest.trust_override': '90' },
  })
  const removal = makeEntry(payments.current(), [raise], {
    removed_taints: ['pii', 'never-there'],
    taints: ['web'],
    labels: { 'kest.sanitizer': 'true' },
  })
  const spans = spansOf(root, raise, removal)

  it('K-AUDIT are listed where labels say them, as notes', async () => {
    const { traces } = await auditOf(spans)
    expect(traces).toMatchObject([
      {
        verdict: 'verified',
        findings: [
          { code: 'trust-overridden', severity: 'note', entryHash: raise.hash },
          { code: 'taint-removed', severity: 'note', entryHash: removal.hash },
        ],
      },
    ])
    expect(traces[0]?.findings.map(({ message }) => message)).toEqual([
      `raises trust from 40 to 90: ${NAMES.orders}, by its label`,
      `removes "pii": ${NAMES.payments}, by its label`,
    ])
  })

  it('K-EFF count, and are listed so, only of those whom the auditor lets raise', async () => {
    const { traces } = await auditOf(spans, { raisers: [NAMES.payments] })
    expect(traces[0]?.findings.map(({ code }) => code)).toEqual([
      'trust-raised',
      'trust-raised',
      'taint-removed',
    ])
  })
})
