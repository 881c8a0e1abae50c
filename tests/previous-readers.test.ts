import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import * as audit from '../packages/audit/dist/index.js'
import { makeDenial, signedDenialOf } from '../packages/audit/dist/testing/make-denial.js'
import { makeEntry } from '../packages/audit/dist/testing/make-entry.js'
import { otlpLine, spanOf } from '../packages/audit/dist/testing/make-span.js'
import * as core from '../packages/core/dist/index.js'
import { MockIdentityProvider, RecordingLogger } from '../packages/core/dist/testing/index.js'
import { root } from '../scripts/workspace.mjs'
import { previousPackages } from './support/previous-packages.js'

const previous = await previousPackages()
const folder = mkdtempSync(join(tmpdir(), 'kest-exported-'))
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await previous.remove()
})

const gateway = new MockIdentityProvider('gateway')
const orders = new MockIdentityProvider('orders')
const keys = Object.fromEntries(
  [gateway, orders].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]] as const),
)
const EVERYBODY = Object.keys(keys).map((workload) => ({ workload, ceiling: 100, identity: true }))

type Core = typeof core
const releases = [
  ['this one', core, audit],
  ['the previous one', previous.core, previous.audit],
] as const

/** A request that two services handled, as this release of the hook records it. */
async function handledBy({ createKest, createFunctionEngine, createKeySource }: Core): Promise<string[]> {
  const engine = createFunctionEngine({ any: () => true }, ...revisionOf(createKest))
  const kests = [gateway, orders].map((identity) =>
    createKest({ identity, engine, trust: createKeySource(keys), logger: new RecordingLogger() }),
  )
  const first = await kests[0]?.begin({
    operation: 'GET /orders/:id',
    policy: 'any',
    origin: 'user_input',
    user: 'alice',
    addedTaints: ['pii'],
  })
  const state = await kests[1]?.resume({ passport: first?.passport }, {})
  const second = await kests[1]?.begin(
    { operation: 'orders.load', policy: 'any', resource: { id: 'o-7', attributes: { region: 'eu' } } },
    { state: state ?? null },
  )
  return [...(second?.passport.entries ?? [])]
}

/** The previous release has no such option. */
const revisionOf = (createKest: Core['createKest']) =>
  createKest === core.createKest ? ([{ revision: '4711' }] as const) : ([] as const)

const summary = ({ tips, principals, findings }: core.VerifiedPassport) => ({
  tips: tips.map(({ hash, trustScore, taints, identity }) => [hash, trustScore, taints, identity?.user]),
  principals,
  findings,
})

async function verified(reader: Core, passport: readonly string[]) {
  const trust = reader.createKeySource(keys)
  return summary(await reader.verifyPassport(new reader.Passport(passport), { trust, roots: EVERYBODY }))
}

/** What an audit says of exported spans. */
async function audited(reader: typeof audit, { createKeySource }: Core, lines: readonly string[]) {
  const file = join(folder, `${Math.random()}.jsonl`)
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
  await using auditing = new reader.Audit({ trust: createKeySource(keys), roots: EVERYBODY })
  await auditing.read(reader.readFiles([file]))
  const reports = []
  for await (const report of auditing.traces()) reports.push(report)
  return { reports, general: auditing.summary().general }
}

describe.each(releases)('what %s writes', (_, writer) => {
  it.each(releases)(
    'K-REVISION K-CONTEXT is verified by %s, with the same trust, taints and user',
    async (_, reader) => {
      const passport = await handledBy(writer)
      expect(await verified(reader, passport)).toEqual(await verified(core, passport))
      expect(await verified(reader, passport)).toMatchObject({
        tips: [[expect.any(String), 40, ['pii'], 'alice']],
        principals: [gateway.getWorkloadId(), orders.getWorkloadId()],
        findings: [],
      })
    },
  )

  it.each(releases)('K-ANCHOR is evidence for %s', async (_, reader) => {
    const passport = await handledBy(writer)
    const evidence = writer.createEvidence({ passport: new writer.Passport(passport), trust: { keys } })
    const read = await reader.verifyEvidence(reader.parseEvidence(JSON.stringify(evidence)))
    expect(summary(read.passport)).toEqual(await verified(core, passport))
  })
})

it('K-REVISION K-CONTEXT entries of this release have labels that the previous one did not write', async () => {
  const labels = (jws: string) =>
    Object.keys(core.parseEntry(jws, { limits: core.DEFAULT_LIMITS }).entry.labels)
  const [now, before] = await Promise.all([handledBy(core), handledBy(previous.core)])
  for (const name of ['kest.revisions', 'kest.context', 'kest.source']) {
    expect(labels(now[1] as string)).toContain(name)
    expect(labels(before[1] as string)).not.toContain(name)
  }
})

it('NF-INTER-01 the previous release verifies entries with labels that it does not know', async () => {
  const first = makeEntry(gateway.current(), [], { labels: { 'kest.call': 'AAAAAAAAAAAAAAAAAAAAAA' } })
  const end = makeEntry(orders.current(), [first], {
    operation: 'orders.load#end',
    labels: { 'kest.outcome': 'succeeded', 'kest.receipts': 'a'.repeat(64) },
  })
  const passport = [first.jws, end.jws]
  expect(await verified(previous.core, passport)).toEqual(await verified(core, passport))
})

describe('K-DENIAL the previous release', () => {
  const first = makeEntry(gateway.current(), [])
  const denied = makeDenial(orders.current(), [first])

  it('K-DENIAL takes a signed denial for no entry, wherever it stands', async () => {
    const { Passport, verifyPassport, createKeySource, parseEvidence, verifyEvidence } = previous.core
    const trust = createKeySource(keys)
    for (const passport of [[denied.jws], [first.jws, denied.jws], [denied.jws, first.jws]]) {
      for (const mode of ['full', 'tip', 'off'] as const)
        await expect(verifyPassport(new Passport(passport), { trust, mode })).rejects.toMatchObject({
          code: 'ERR_KEST_ENTRY_HEADER',
        })
      const file = { format: 'kest-evidence-1', passport, trust: { keys } }
      await expect(verifyEvidence(parseEvidence(JSON.stringify(file)))).rejects.toMatchObject({
        code: 'ERR_KEST_ENTRY_HEADER',
      })
    }
  })

  it('K-DENIAL verifies the passport of evidence that has denials beside it', async () => {
    const passport = new core.Passport([first.jws])
    const evidence = JSON.stringify(core.createEvidence({ passport, trust: { keys }, denials: [denied.jws] }))
    const { verifyEvidence, parseEvidence } = previous.core
    const read = await verifyEvidence(parseEvidence(evidence))
    expect(summary(read.passport)).toEqual(await verified(core, [first.jws]))
  })

  it('K-DENIAL audits spans with signed denials as it did those without', async () => {
    const lines = [otlpLine('gateway', [spanOf(first)]), otlpLine('orders', [signedDenialOf(denied)])]
    const { reports, general } = await audited(previous.audit, previous.core, lines)
    expect(general).toEqual([])
    expect(reports).toMatchObject([
      { verdict: 'verified', findings: [], denials: [{ operation: denied.denial.operation }] },
    ])
    const now = await audited(audit, core, lines)
    expect(now.reports).toMatchObject([{ verdict: 'verified', findings: [], denials: [{ proof: 'signed' }] }])
  })
})

it('K-AUDIT the previous audit takes a span that it does not know for an authorization without a signature', async () => {
  const [first, traceId] = [makeEntry(gateway.current(), []), 'c'.repeat(32)]
  const attributes = { 'kest.receipt': first.jws, 'kest.trace_id': first.entry.labels['trace_id'] }
  const unknown = { name: 'kest.receipt', traceId, spanId: 'd'.repeat(16), attributes }
  const lines = [otlpLine('gateway', [spanOf(first), unknown])]
  const { reports } = await audited(previous.audit, previous.core, lines)
  expect(reports).toMatchObject([{ verdict: 'incomplete', findings: [{ code: 'unsigned' }] }])
})

describe('vectors', () => {
  const vectors = join(root, 'packages', 'core', 'tests', 'vectors', 'passports')
  const all = readdirSync(vectors).filter((name) => name.endsWith('.json'))

  async function verdict({ parseEvidence, verifyEvidence }: Core, text: string) {
    try {
      return summary((await verifyEvidence(parseEvidence(text))).passport)
    } catch (error) {
      const { code, index } = error as { code?: string; index?: number }
      return { code, index }
    }
  }

  it('NF-INTER-01 have the verdicts that the previous release gave them', async () => {
    expect(all.length).toBeGreaterThan(50)
    for (const name of all) {
      const text = readFileSync(join(vectors, name), 'utf8')
      expect(await verdict(core, text), name).toEqual(await verdict(previous.core, text))
    }
  })
})
