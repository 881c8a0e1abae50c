import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { ATTRIBUTE, createKeyIdentity, createKeySource, SignatureCache } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import {
  Audit,
  type AuditOptions,
  type AuditSummary,
  readFiles,
  type TraceReport,
  type TraceSelection,
} from '../src/index.js'
import { type EntryClaim, EVERYBODY, type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { denialOf, type OtlpSpan, otlpLine, spanOf, withoutEntry } from '../src/testing/make-span.js'
import { twinOf } from '../src/testing/plant.js'

const [gateway, orders, payments, stranger] = ['gateway', 'orders', 'payments', 'stranger'].map(
  (name) => new MockIdentityProvider(name),
) as [MockIdentityProvider, MockIdentityProvider, MockIdentityProvider, MockIdentityProvider]
const trust = createKeySource(
  new Map([gateway, orders, payments].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])),
)

/** Three services, one after the other. */
function chain(): [MadeEntry, MadeEntry, MadeEntry] {
  const first = makeEntry(gateway.current(), [])
  const second = makeEntry(orders.current(), [first])
  return [first, second, makeEntry(payments.current(), [second])]
}

async function folder(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kest-audit-test-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  return path
}

/** The span, with an entry whose payload says something else than what was signed. */
function altered(made: MadeEntry, said: string, lie: string): OtlpSpan {
  const [header, payload, signature] = made.jws.split('.') as [string, string, string]
  const text = Buffer.from(payload, 'base64url').toString().replace(said, lie)
  const span = spanOf(made)
  span.attributes[ATTRIBUTE.signature] = `${header}.${Buffer.from(text).toString('base64url')}.${signature}`
  return span
}

interface Result {
  readonly traces: TraceReport[]
  readonly summary: AuditSummary
}

async function audit(
  path: string,
  options: Partial<AuditOptions> = {},
  selection: TraceSelection = {},
): Promise<Result> {
  await using one = new Audit({ trust, roots: EVERYBODY, ...options })
  await one.read(readFiles([path]))
  const traces: TraceReport[] = []
  for await (const trace of one.traces(selection)) traces.push(trace)
  return { traces, summary: one.summary() }
}

async function auditAll(...spans: readonly OtlpSpan[]): Promise<TraceReport[]> {
  const { traces } = await audit(
    await folder({ 'spans.jsonl': `${spans.map((span) => otlpLine('any', [span])).join('\n')}\n` }),
  )
  return traces
}

async function auditSpans(...spans: readonly OtlpSpan[]): Promise<TraceReport> {
  const traces = await auditAll(...spans)
  expect(traces).toHaveLength(1)
  return traces[0] as TraceReport
}

function codes({ findings }: TraceReport): string[] {
  return findings.map(({ code }) => code).sort()
}

describe('an audit', () => {
  it('K-AUDIT proves a lineage whose spans come from several services, in any order', async () => {
    const [first, second, third] = chain()
    const path = await folder({
      'a.jsonl': `${otlpLine('payments', [spanOf(third)])}\n`,
      'b.jsonl': `${otlpLine('orders', [spanOf(second)])}\n${otlpLine('gateway', [spanOf(first)])}\n`,
    })
    const { traces, summary } = await audit(path)
    expect(traces).toMatchObject([
      {
        traceId: first.entry.labels['trace_id'],
        verdict: 'verified',
        time: 'self-asserted',
        tips: [third.hash],
        findings: [],
        denials: [],
      },
    ])
    expect(traces[0]?.passport?.entries).toEqual([first.jws, second.jws, third.jws])
    expect(
      traces[0]?.entries.map(({ service, status, trustScore }) => [service, status, trustScore]),
    ).toEqual([
      ['gateway', 'verified', 40],
      ['orders', 'verified', 40],
      ['payments', 'verified', 40],
    ])
    expect(summary).toMatchObject({ spans: 3, traces: 1, entries: 3, verdicts: { verified: 1 } })
    expect(summary.findings.size).toBe(0)
  })

  it('says which entry was altered, and that what builds on it is not proven', async () => {
    const [first, second, third] = chain()
    const raised = altered(second, '"trust_score":40', '"trust_score":90')
    const report = await auditSpans(spanOf(first), raised, spanOf(third))
    expect(report.verdict).toBe('broken')
    expect(report.passport).toBeNull()
    expect(report.findings).toMatchObject([
      { code: 'broken', cause: 'ERR_KEST_SIGNATURE' },
      { code: 'incomplete', message: expect.stringContaining(`${second.hash} was never exported; a span`) },
    ])
    expect(report.entries.map(({ status, trustScore }) => [status, trustScore])).toEqual([
      ['verified', 40],
      ['failed', null],
      ['signed', null],
    ])
  })

  it('names a parent that was never exported', async () => {
    const [first, second, third] = chain()
    const report = await auditSpans(spanOf(first), spanOf(third))
    expect(report).toMatchObject({
      verdict: 'incomplete',
      findings: [
        { code: 'incomplete', entryHash: third.hash, message: expect.stringContaining(second.hash) },
      ],
    })
  })

  it('proves by a passport what was never exported, and says that it was not', async () => {
    const [first, second, third] = chain()
    const report = await auditSpans(spanOf(first), spanOf(third, [first, second, third]))
    expect(report.verdict).toBe('incomplete')
    expect(codes(report)).toEqual(['incomplete'])
    expect(report.entries.map(({ source, status }) => [source, status])).toEqual([
      ['span', 'verified'],
      ['passport', 'verified'],
      ['span', 'verified'],
    ])
  })

  it('notices a tip that is claimed and did not come', async () => {
    const [first, second, third] = chain()
    const stripped = spanOf(third)
    delete stripped.attributes[ATTRIBUTE.signature]
    const report = await auditSpans(spanOf(first), spanOf(second), stripped)
    expect(report).toMatchObject({ verdict: 'incomplete', findings: [{ code: 'cut' }] })
  })

  it('notices a signature that was taken away, whatever the span then says of itself', async () => {
    const [first, second, third] = chain()
    for (const claims of [
      { [ATTRIBUTE.chainTip]: second.hash },
      { [ATTRIBUTE.chainTip]: 'f'.repeat(63) },
      {},
    ]) {
      const stripped = withoutEntry(spanOf(third))
      Object.assign(stripped.attributes, claims)
      const report = await auditSpans(spanOf(first), spanOf(second), stripped)
      expect(report).toMatchObject({ findings: [{ code: 'unsigned' }] })
    }
    const relabelled = spanOf(third)
    delete relabelled.attributes[ATTRIBUTE.signature]
    relabelled.attributes[ATTRIBUTE.decision] = 'deny'
    const report = await auditSpans(spanOf(first), spanOf(second), relabelled)
    expect(report).toMatchObject({ findings: [{ code: 'cut' }], denials: [] })
  })

  it('says that a parent is missing, whoever claims to be it', async () => {
    const [first, second, third] = chain()
    const forged = spanOf(third)
    forged.attributes = { [ATTRIBUTE.signature]: 'ey.x.y', [ATTRIBUTE.chainTip]: second.hash }
    expect(codes(await auditSpans(spanOf(first), spanOf(third), forged))).toEqual(['incomplete', 'malformed'])
  })

  it('takes from a passport nothing that its entries do not build on', async () => {
    const [first, second, third] = chain()
    const others = chain()
    const lines = [spanOf(first), spanOf(second), spanOf(third, [...others, first, second, third])]
    for (const spans of [lines, [...lines, ...others.map((made) => spanOf(made))]]) {
      const reports = await auditAll(...spans)
      const report = reports.find(({ traceId }) => traceId === first.entry.labels['trace_id'])
      expect(report).toMatchObject({ verdict: 'verified', findings: [{ code: 'passport-differs' }] })
      expect(report?.passport?.entries).toEqual([first.jws, second.jws, third.jws])
    }
  })

  /** Each in a trace of its own, and built on the one before. */
  async function acrossTraces(signer: MockIdentityProvider, count: number): Promise<string> {
    let parents: MadeEntry[] = []
    const lines: string[] = []
    for (let i = 1; i <= count; i++) {
      const made = makeEntry(signer.current(), parents, {
        labels: { trace_id: i.toString(16).padStart(32, '0') },
      })
      lines.push(`${otlpLine('any', [spanOf(made)])}\n`)
      parents = [made]
    }
    return await folder({ 'spans.jsonl': lines.join('') })
  }

  it('does not look for what entries name that nobody signed, through ever more traces', async () => {
    const last = { trace: (300).toString(16).padStart(32, '0') }
    const { summary } = await audit(await acrossTraces(stranger, 300), { memory: 20_000 }, last)
    expect([...summary.findings]).toEqual([['principal-unknown', 1]])
  })

  it('K-CACHE does not verify anew, for each of many traces, what they build on in another', async () => {
    const lineage = chain()
    const jobs = Array.from({ length: 200 }, (_, i) => {
      const labels = { trace_id: (i + 1).toString(16).padStart(32, '0') }
      return makeEntry(orders.current(), lineage.slice(-1), { labels })
    })
    const lines = [...lineage, ...jobs].map((made) => `${otlpLine('any', [spanOf(made)])}\n`)
    const held = vi.spyOn(SignatureCache.prototype, 'add')
    onTestFinished(() => held.mockRestore())
    const { traces } = await audit(await folder({ 'spans.jsonl': lines.join('') }))
    expect(
      traces.filter(({ verdict, entries }) => verdict === 'verified' && entries.length === 4),
    ).toHaveLength(200)
    // One for each job, and some of the lineage for those that are judged at once; of 800 entries.
    expect(held.mock.calls.length).toBeGreaterThanOrEqual(203)
    expect(held.mock.calls.length).toBeLessThan(400)
  })

  it('says where a lineage goes on in other traces for longer than a passport', async () => {
    const { summary } = await audit(await acrossTraces(gateway, 12), { limits: { entries: 8 } })
    expect([...summary.findings]).toEqual([
      ['trace-differs', 11],
      ['limit', 3],
    ])
  })

  it('says nothing of witnesses where there is no entry', async () => {
    const [first] = chain()
    expect(await auditSpans(denialOf(first))).toMatchObject({ verdict: 'empty', time: 'self-asserted' })
  })

  it('leaves no temporary files behind where something is still read when it is closed', async () => {
    const path = await folder({
      'spans.jsonl': `${otlpLine(
        'any',
        chain().map((made) => spanOf(made)),
      )}\n`,
    })
    const temporary = await folder({})
    let goOn = (): void => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    async function* source() {
      yield* readFiles([path])
      await held
      yield* readFiles([path])
    }
    const one = new Audit({ trust, memory: 1, folder: temporary })
    const ended = expect(one.read(source())).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    await expect.poll(() => readdir(temporary)).toHaveLength(1)
    await one.close()
    goOn()
    await ended
    await expect(one.traces().next()).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    expect(await readdir(temporary)).toEqual([])
  })

  it('says what of its temporary files cannot be written, and is closed all the same', async () => {
    const temporary = await folder({})
    const one = new Audit({ trust, memory: 1_000, folder: join(temporary, 'not-there') })
    const [first, second] = chain()
    const path = await folder({ 'spans.jsonl': `${otlpLine('any', [spanOf(first), spanOf(second)])}\n` })
    await expect(one.read(readFiles([path]))).rejects.toMatchObject({
      code: 'ERR_KEST_EVIDENCE',
      message: expect.stringContaining('temporary files: ENOENT'),
    })
    await expect(one.close()).resolves.toBeUndefined()
  })

  it('K-LOWS compares the spans of a twin with what is signed, and takes them for nothing that is missing', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const python = createKeyIdentity('spiffe://kest.test/python', privateKey)
    const keys = createKeySource({ 'spiffe://kest.test/python': [publicKey.export({ format: 'jwk' })] })
    const runtime = { name: 'kest-python', version: '0.3.0' }
    const first = makeEntry(python.current(), [], { runtime })
    const second = makeEntry(python.current(), [first], { runtime })
    const twin = { ...first, ...twinOf(first) }
    const spans = [spanOf(first, [first]), spanOf(second, [first, second])]
    const honest = spanOf(twin, [twin])
    const lying = spanOf(twin, [twin])
    lying.attributes[ATTRIBUTE.operation] = 'DELETE /orders'
    const unsigned = withoutEntry(honest)
    unsigned.attributes[ATTRIBUTE.chainTip] = twin.hash
    for (const [span, found] of [
      [honest, ['duplicated']],
      [lying, ['attribute-differs', 'duplicated']],
      [unsigned, ['duplicated', 'unsigned']],
    ] as const) {
      const lines = [...spans, honest, span].map((one) => `${otlpLine('any', [one])}\n`)
      const { traces } = await audit(await folder({ 'spans.jsonl': lines.join('') }), { trust: keys })
      expect(traces).toMatchObject([
        { tips: [second.hash], entries: [{ hash: first.hash }, { hash: second.hash }] },
      ])
      expect([...new Set(codes(traces[0] as TraceReport))]).toEqual(found)
    }
  })

  it('K-AUDIT takes no denial for evidence, and lists it', async () => {
    const [first] = chain()
    const denial = denialOf(makeEntry(orders.current(), [first]))
    denial.attributes[ATTRIBUTE.errorType] = 'ERR_KEST_DENIED'
    const report = await auditSpans(spanOf(first), denial)
    expect(report).toMatchObject({
      verdict: 'verified',
      findings: [],
      denials: [{ code: 'ERR_KEST_DENIED', workloadId: orders.getWorkloadId() }],
    })
    expect(report.entries).toHaveLength(1)
  })

  it('K-AUDIT lists with a denial what it was to build on, as its span says, and no more than eight hashes of that', async () => {
    const [first] = chain()
    const parentsOf = async (claim: unknown): Promise<unknown> => {
      const denial = denialOf(makeEntry(orders.current(), [first]))
      denial.attributes[ATTRIBUTE.parentHash] = claim
      return (await auditSpans(spanOf(first), denial)).denials[0]?.parents
    }
    const hashes = Array.from({ length: 20 }, (_, i) => i.toString(16).padStart(64, '0'))
    expect(await parentsOf(first.hash)).toEqual([first.hash])
    expect(await parentsOf(hashes.join(','))).toEqual(hashes.slice(0, 8))
    for (const claim of ['0', '', 'x,'.repeat(10_000), 7]) expect(await parentsOf(claim)).toEqual([])
  })

  it('K-AUDIT lists a denial with the lineage that it says it is of, whatever trace of OpenTelemetry its span is in', async () => {
    const [first] = chain()
    const denial = { ...denialOf(makeEntry(orders.current(), [first])), traceId: 'e'.repeat(32) }
    const report = await auditSpans(spanOf(first), denial)
    expect(report).toMatchObject({
      traceId: first.entry.labels['trace_id'],
      verdict: 'verified',
      denials: [{ workloadId: orders.getWorkloadId() }],
    })
    denial.attributes[ATTRIBUTE.traceId] = `${'e'.repeat(31)}"`
    expect((await auditAll(spanOf(first), denial)).map(({ verdict }) => verdict).sort()).toEqual([
      'empty',
      'verified',
    ])
  })

  it('K-ROOTS says who began lineage, how often and with which trust, where no list says who may', async () => {
    const made = [
      makeEntry(gateway.current(), [], { trust_score: 100 }),
      makeEntry(gateway.current(), [], { trust_score: 10 }),
      ...chain(),
      makeEntry(orders.current(), []),
    ]
    const path = await folder({
      'spans.jsonl': `${otlpLine(
        'any',
        made.map((one) => spanOf(one)),
      )}\n`,
    })
    const { summary } = await audit(path, { roots: undefined } as object)
    const notes = summary.general.filter(({ code }) => code === 'root')
    expect(notes.map(({ severity, message }) => [severity, message])).toEqual([
      ['note', 'spiffe://kest.test/gateway began 3 lineages, with trust 10 to 100; no list says who may'],
      ['note', 'spiffe://kest.test/orders began a lineage, with trust 40; no list says who may'],
    ])
    expect((await audit(path)).summary.findings.has('root')).toBe(false)
  })

  it('K-ROOTS finds lineage that was begun by whom the auditor’s list does not have, and gives it no trust', async () => {
    const spans = chain().map((one) => spanOf(one))
    const path = await folder({ 'spans.jsonl': `${otlpLine('any', spans)}\n` })
    const { traces } = await audit(path, { roots: [{ workload: orders.getWorkloadId(), ceiling: 100 }] })
    expect(traces[0]?.findings).toMatchObject([
      { code: 'unlisted-root', severity: 'warning', cause: 'ERR_KEST_ROOT' },
    ])
    expect(traces[0]?.entries.map(({ trustScore, taints }) => [trustScore, taints])).toEqual(
      Array(3).fill([0, ['kest.unlisted-root']]),
    )
    const lowered = await audit(path, { roots: [{ workload: gateway.getWorkloadId(), ceiling: 7 }] })
    expect(lowered.traces[0]).toMatchObject({ verdict: 'verified', findings: [] })
    expect(lowered.traces[0]?.entries.at(-1)?.trustScore).toBe(7)
  })

  it('K-SWITCH finds who signs in another, unless the auditor takes it from him', async () => {
    const says = (user: string, more = {}) => ({
      labels: { 'kest.identity': `{"agent":null,"task":null,"user":"${user}"}`, ...more },
    })
    const first = makeEntry(gateway.current(), [], says('alice'))
    const second = makeEntry(orders.current(), [first], says('admin', { 'kest.identity_stated': 'true' }))
    const path = await folder({ 'spans.jsonl': `${otlpLine('any', [spanOf(first), spanOf(second)])}\n` })
    const { traces } = await audit(path)
    expect(traces[0]?.findings).toMatchObject([
      { code: 'identity-switched', severity: 'warning', cause: 'ERR_KEST_IDENTITY_CONFLICT' },
    ])
    expect(traces[0]?.entries[1]).toMatchObject({ identity: null, taints: ['kest.identity-switched'] })
    const trusting = await audit(path, { identityAuthorities: [orders.getWorkloadId()] })
    expect(trusting.traces[0]).toMatchObject({ findings: [] })
    expect(trusting.traces[0]?.entries[1]?.identityBy).toBe(orders.getWorkloadId())
  })

  it('K-AUDIT believes the entry, not what its span says of the trace', async () => {
    const [first] = chain()
    const span = spanOf(first)
    span.attributes[ATTRIBUTE.traceId] = 'e'.repeat(32)
    const report = await auditSpans(span)
    expect(report).toMatchObject({
      traceId: first.entry.labels['trace_id'],
      findings: [{ code: 'attribute-differs', message: expect.stringContaining('kest.trace_id') }],
    })
  })

  it('does not know a principal that the auditor gave no key for', async () => {
    const [first] = chain()
    const report = await auditSpans(spanOf(first), spanOf(makeEntry(stranger.current(), [first])))
    expect(report).toMatchObject({ verdict: 'broken', findings: [{ code: 'principal-unknown' }] })
  })

  it('keeps traces in files beyond its memory, with the same result', async () => {
    const chains = Array.from({ length: 40 }, chain)
    const lines = chains.flat().map((made) => otlpLine('any', [spanOf(made)]))
    const path = await folder({ 'spans.jsonl': `${lines.join('\n')}\n` })
    const temporary = await folder({})
    const { summary } = await audit(path, { memory: 20_000, folder: temporary })
    expect(summary).toMatchObject({ spans: 120, traces: 40, verdicts: { verified: 40 } })
    expect(summary.findings.size).toBe(0)
  })

  it('reads what a folder links to and hides, and says what it passes over', async () => {
    const [first] = chain()
    const line = `${otlpLine('any', [spanOf(first)])}\n`
    const elsewhere = await folder({ 'a.jsonl': line })
    const path = await folder({
      '.hidden.jsonl': line,
      'late.json': `{"other":1}\n${line}`,
      'notes.txt': 'x',
    })
    await symlink(join(elsewhere, 'a.jsonl'), join(path, 'link.jsonl'))
    await symlink(join(elsewhere, 'gone'), join(path, 'nowhere.jsonl'))
    await mkdir(join(path, 'more'))
    await writeFile(join(path, 'more', 'deep.jsonl'), line)
    await writeFile(join(path, 'loose-wal'), 'x')
    const { summary } = await audit(path)
    expect(summary).toMatchObject({ spans: 4, entries: 1 })
    const found = summary.general.map(({ code, place }) => [code, place?.slice(path.length + 1)])
    expect(found.sort()).toEqual([
      ['skipped', 'loose-wal'],
      ['skipped', 'notes.txt'],
      ['unreadable', 'late.json:1'],
      ['unreadable', 'nowhere.jsonl'],
    ])
  })

  it('K-TRACE follows a lineage into another trace', async () => {
    const [first, second] = chain()
    const job = makeEntry(payments.current(), [second], { labels: { trace_id: 'b'.repeat(32) } })
    const path = await folder({
      'spans.jsonl': [first, second, job].map((made) => `${otlpLine('any', [spanOf(made)])}\n`).join(''),
    })
    for (const memory of [8_000, 1_000_000]) {
      const { traces } = await audit(path, { memory })
      expect(traces).toHaveLength(2)
      const report = traces.find(({ traceId }) => traceId === 'b'.repeat(32))
      expect(report).toMatchObject({
        verdict: 'verified',
        findings: [{ code: 'trace-differs' }],
        tips: [job.hash],
      })
      expect(report?.entries.map(({ source }) => source)).toEqual(['foreign', 'foreign', 'span'])
    }
  })

  it('K-AUDIT draws in of other traces what signed entries name, and nothing that others claim', async () => {
    const [first, second, third] = chain()
    const [lone] = chain()
    const elsewhere = { labels: { trace_id: 'a'.repeat(32) } }
    const claims: readonly (readonly [OtlpSpan, codes: readonly string[]])[] = [
      [
        {
          ...withoutEntry(spanOf(third)),
          attributes: { [ATTRIBUTE.chainTip]: third.hash },
          traceId: 'a'.repeat(32),
        },
        ['unsigned'],
      ],
      [spanOf(makeEntry(stranger.current(), [third], elsewhere)), ['principal-unknown']],
      [spanOf(makeEntry(stranger.current(), [third], elsewhere), [second, third]), ['principal-unknown']],
      [
        { ...spanOf(lone), attributes: { ...spanOf(lone).attributes, [ATTRIBUTE.chainTip]: third.hash } },
        ['attribute-differs'],
      ],
    ]
    for (const [claim, found] of claims) {
      const reports = await auditAll(claim, ...[first, second, third].map((made) => spanOf(made)))
      const report = reports.find(({ traceId }) => traceId === claim.traceId) as TraceReport
      expect(report.entries.filter(({ source }) => source === 'foreign')).toEqual([])
      expect(codes(report)).toEqual(found)
    }
  })

  it('K-AUDIT follows a lineage through what only a passport has, and into another trace', async () => {
    const [first, second] = chain()
    const lost = makeEntry(payments.current(), [second], { labels: { trace_id: 'b'.repeat(32) } })
    const last = makeEntry(gateway.current(), [lost], { labels: { trace_id: 'a'.repeat(32) } })
    const reports = await auditAll(spanOf(first), spanOf(second), spanOf(last, [first, second, lost, last]))
    const report = reports.find(({ traceId }) => traceId === 'a'.repeat(32))
    expect(report?.entries.map(({ source, status }) => [source, status])).toEqual([
      ['foreign', 'verified'],
      ['foreign', 'verified'],
      ['passport', 'verified'],
      ['span', 'verified'],
    ])
    expect(report?.findings.map(({ code }) => code)).toEqual(['trace-differs', 'trace-differs', 'incomplete'])
  })

  it('K-AUDIT verifies nothing that rests on an entry of another trace that does not hold', async () => {
    const trace = (digit: string): EntryClaim => ({ labels: { trace_id: digit.repeat(32) } })
    const forged = makeEntry(stranger.current(), [], trace('b'))
    const between = makeEntry(gateway.current(), [forged], trace('c'))
    const made = makeEntry(orders.current(), [between], trace('a'))
    const next = makeEntry(payments.current(), [made])
    const reports = await auditAll(...[forged, between, made, next].map((one) => spanOf(one)))
    const report = reports.find(({ traceId }) => traceId === 'a'.repeat(32))
    expect(report).toMatchObject({ verdict: 'broken', passport: null })
    expect(report?.findings).toMatchObject([
      { code: 'trace-differs' },
      {
        code: 'principal-unknown',
        entryHash: made.hash,
        cause: 'ERR_KEST_KEY_UNKNOWN',
        message: expect.stringContaining(`it builds on entry ${forged.entry.entry_id} of another trace: `),
      },
    ])
  })

  describe('of some traces', () => {
    const day = 86_400_000
    const recent = Date.UTC(2026, 9, 1)
    const ofOrders = { service: 'orders', since: recent }

    it('reports those with an entry of their own that is looked for', async () => {
      const early = makeEntry(gateway.current(), [], { timestamp_ms: recent - day })
      const late = makeEntry(orders.current(), [early], {
        timestamp_ms: recent + day,
        labels: { trace_id: 'a'.repeat(32) },
      })
      const other = makeEntry(payments.current(), [late], { labels: { trace_id: 'b'.repeat(32) } })
      const path = await exportOf(early, late, other)
      expect(await tracesOf(path, { service: 'orders' })).toEqual(['a'.repeat(32)])
      expect(await tracesOf(path, { service: gateway.getWorkloadId() })).toEqual([idOf(early)])
      expect(await tracesOf(path, { since: recent })).toEqual(['a'.repeat(32), 'b'.repeat(32)])
      expect(await tracesOf(path, ofOrders)).toEqual(['a'.repeat(32)])
    })

    it('K-AUDIT hides none in which something does not hold, or is missing', async () => {
      const early = { timestamp_ms: recent - day }
      const [root, other] = [makeEntry(gateway.current(), [], early), makeEntry(gateway.current(), [], early)]
      const lost = makeEntry(orders.current(), [root], early)
      const spans = {
        broken: altered(makeEntry(payments.current(), [], early), 'GET /orders', 'PUT /orders'),
        'principal-unknown': altered(
          makeEntry(orders.current(), [], early),
          'kest.test/orders',
          'kest.test/xrders',
        ),
        incomplete: spanOf(makeEntry(payments.current(), [lost], early)),
        'entry-id-repeated': spanOf(
          makeEntry(payments.current(), [other], { ...early, entry_id: other.entry.entry_id }),
        ),
      }
      const path = await folder({
        'spans.jsonl': [spanOf(root), spanOf(other), ...Object.values(spans)]
          .map((span) => `${otlpLine('any', [span])}\n`)
          .join(''),
      })
      const { summary } = await audit(path, {}, ofOrders)
      expect([...summary.findings.keys()].sort()).toEqual(Object.keys(spans).sort())
    })

    async function exportOf(...made: readonly MadeEntry[]): Promise<string> {
      return await folder({
        'spans.jsonl': made.map((one) => `${otlpLine('any', [spanOf(one)])}\n`).join(''),
      })
    }

    async function tracesOf(path: string, selection: TraceSelection): Promise<(string | null)[]> {
      const { traces } = await audit(path, {}, selection)
      return traces.map(({ traceId }) => traceId).sort()
    }

    function idOf({ entry }: MadeEntry): string | undefined {
      return entry.labels['trace_id']
    }
  })

  it('says at which line a file is corrupt, and reads on', async () => {
    const [first] = chain()
    const line = otlpLine('any', [spanOf(first)])
    const path = await folder({
      'spans.jsonl': `{"resourceSpans":[{\n${line}\n{"a":1}\n\n${line.slice(0, 99)}`,
    })
    const { summary, traces } = await audit(path)
    expect(summary.general.map(({ code, place }) => [code, place?.replace(path, '')])).toEqual([
      ['unreadable', '/spans.jsonl:1'],
      ['unreadable', '/spans.jsonl:3'],
      ['torn', '/spans.jsonl:5'],
    ])
    expect(traces).toMatchObject([{ verdict: 'verified' }])
  })

  it('K-AUDIT takes for torn only what cannot be parsed, and reads all that is compressed or says that it does not', async () => {
    const [first, second, third] = chain().map((made) => `${otlpLine('any', [spanOf(made)])}\n`)
    const zeros = Buffer.alloc(600_000)
    const path = await folder({
      'list.jsonl': `[${first?.trim()},7]`,
      'members.jsonl.gz': Buffer.concat([gzipSync(`${first}`), gzipSync(`${second}`)]),
      'more.jsonl.gz': Buffer.concat([gzipSync(`${third}`), zeros, gzipSync('lost')]),
      'noise.jsonl.gz': Buffer.concat([gzipSync(`${third}`), Buffer.from('lost')]),
    })
    const { summary } = await audit(path)
    expect(summary.spans).toBe(3)
    expect(summary.general.map(({ code, place }) => [code, place?.replace(path, '')])).toEqual([
      ['unreadable', '/list.jsonl:1'],
      ['unreadable', '/more.jsonl.gz'],
      ['unreadable', '/noise.jsonl.gz'],
    ])
  })

  it('reads what is named as if SQLite kept it beside a file that is none of its own', async () => {
    const [first, second, third] = chain().map((made) => `${otlpLine('any', [spanOf(made)])}\n`) as [
      string,
      string,
      string,
    ]
    const path = await folder({ spans: first, 'spans-journal': second, 'spans-wal': third, 'other-shm': 'x' })
    const { summary } = await audit(path)
    expect(summary.spans).toBe(3)
    expect(summary.general).toMatchObject([{ code: 'skipped', place: join(path, 'other-shm') }])
  })

  it('passes over nothing that is in the place of spans, nor reads what would fill memory', async () => {
    const path = await folder({
      'spans.jsonl': [
        '{"resourceSpans":[{"scopeSpans":{}}]}',
        '{"resourceSpans":[{"scopeSpans":[{"spans":"none"}]}]}',
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":{}}]}]}]}',
        `{"resourceSpans":[${'{},'.repeat(1_000_000)}{}]}`,
        '{"resourceSpans":[{"scopeSpans":null},{}]}\n',
        '{"resourceSpans":[{},{"scopeSpans":[{},{"spans":[]}]}]}\n',
      ].join('\n'),
    })
    const { summary } = await audit(path)
    expect(summary.general.map(({ code, place }) => [code, place?.replace(path, '')])).toEqual([
      ['unreadable', '/spans.jsonl:1'],
      ['unreadable', '/spans.jsonl:2'],
      ['unreadable', '/spans.jsonl:3'],
      ['limit', '/spans.jsonl:4'],
      ['unreadable', '/spans.jsonl:5'],
    ])
  })

  it('notices a lost span that nothing links to, by the numbers of its process', async () => {
    const process = '3f2b8c1e-0000-4000-8000-000000000001'
    const made = [1, 2, 4].map((n) =>
      makeEntry(gateway.current(), [], { labels: { 'kest.seq': `${process}:${n}` } }),
    )
    const path = await folder({
      'spans.jsonl': `${otlpLine(
        'any',
        made.map((one) => spanOf(one)),
      )}\n`,
    })
    const { summary } = await audit(path)
    expect(summary.general).toMatchObject([
      { code: 'sequence-gap', message: expect.stringContaining('number 3 is') },
    ])
    expect(summary.verdicts.verified).toBe(3)
  })

  it('reads plain lists of entries, and lineages that name no trace', async () => {
    const withoutTrace = { labels: { trace_id: undefined } }
    const lineages = [1, 2].map(() => {
      const first = makeEntry(gateway.current(), [], withoutTrace)
      return [first, makeEntry(orders.current(), [first], withoutTrace)]
    })
    const list = [...lineages.flat(), chain()[0]].map(({ jws }) => `${jws}\n`)
    const { traces } = await audit(await folder({ 'list.jws': list.reverse().join('') }))
    expect(
      traces.map(({ verdict, traceId, entries }) => [verdict, traceId === null, entries.length]).sort(),
    ).toEqual([
      ['verified', false, 1],
      ['verified', true, 2],
      ['verified', true, 2],
    ])
  })
})
