import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKest, type Kest, type KestState, type Passport, type TrustDocument } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RebuiltLineage, rebuildLineage } from '../src/auditor/lineage.js'
import { type ExportedSpan, readSpans } from '../src/auditor/spans.js'
import { auditTable } from '../src/auditor/table.js'
import { withByteChanged, withoutEntry, withoutTail } from '../src/auditor/tamper.js'
import { faultOf } from '../src/auditor/verdict.js'
import { CHAIN, type KeyList, principalOf, type Service, spansFileOf } from '../src/chain.js'

const identities = CHAIN.map((service) => new MockIdentityProvider(principalOf(service)))
const keys: KeyList = Object.fromEntries(identities.map((id) => [id.getWorkloadId(), [id.getPublicJwk()]]))
const trust: TrustDocument = { keys }

/** A service that exports its spans to memory. */
class Recorder {
  readonly kest: Kest
  readonly engine = new MockPolicyEngine()
  readonly #service: Service
  readonly #exporter = new InMemorySpanExporter()

  constructor(service: Service) {
    this.#service = service
    const spanProcessors = [new SimpleSpanProcessor(this.#exporter)]
    this.kest = createKest({
      identity: identities[CHAIN.indexOf(service)]!,
      engine: this.engine,
      telemetry: { tracerProvider: new BasicTracerProvider({ spanProcessors }) },
      logger: new RecordingLogger(),
    })
  }

  spans(): ExportedSpan[] {
    return this.#exporter.getFinishedSpans().map(({ instrumentationScope, attributes }) => ({
      service: this.#service,
      scope: instrumentationScope.name,
      attributes,
    }))
  }
}

const ROOT = { operation: 'GET /', policy: 'p', origin: 'user_input' } as const
const NEXT = { operation: 'GET /', policy: 'p' } as const

/** hop1 → hop2 → hop3 */
async function chain(): Promise<ExportedSpan[]> {
  const recorders = CHAIN.map((service) => new Recorder(service))
  let state: KestState | undefined
  for (const { kest } of recorders) {
    ;({ state } = await (state === undefined ? kest.begin(ROOT) : kest.begin(NEXT, { state })))
  }
  return recorders.flatMap((recorder) => recorder.spans())
}

/** hop1, then hop2 and hop3 side by side, then hop1 again. */
async function diamond(): Promise<ExportedSpan[]> {
  const recorders = CHAIN.map((service) => new Recorder(service))
  const [hop1, hop2, hop3] = recorders.map(({ kest }) => kest) as [Kest, Kest, Kest]
  const { state } = await hop1.begin(ROOT)
  const branches = await Promise.all([hop2.begin(NEXT, { state }), hop3.begin(NEXT, { state })])
  for (const branch of branches) branch.settle()
  await hop1.begin(NEXT, { state })
  return recorders.flatMap((recorder) => recorder.spans())
}

/** With attributes of one span replaced. */
function forged(spans: readonly ExportedSpan[], index: number, attributes: object): ExportedSpan[] {
  return spans.map((span, i) =>
    i === index ? { ...span, attributes: { ...span.attributes, ...attributes } } : span,
  )
}

describe('rebuilding a lineage', () => {
  it('orders entries by their hash links, whatever the order of the spans', async () => {
    for (const spans of [await chain(), await diamond()]) {
      await fc.assert(
        fc.asyncProperty(fc.shuffledSubarray(spans, { minLength: spans.length }), async (shuffled) => {
          const lineage = rebuildLineage(shuffled)
          expect(lineage.records).toHaveLength(spans.length)
          expect(lineage.tips).toHaveLength(1)
          expect(await faultOf(lineage.passport, lineage, trust)).toBeNull()
        }),
      )
    }
  })

  it.each([
    'kest.chain_tip',
    'kest.entry_id',
    'kest.operation',
    'kest.parent_hash',
    'kest.trust_score',
    'kest.workload_id',
  ])('believes the signed entry: another %s in the span is noticed', async (attribute) => {
    const spans = forged(await chain(), 1, { [attribute]: 'something else' })
    expect(() => rebuildLineage(spans)).toThrow(`hop2: the span's ${attribute} is not what its entry`)
  })

  it('notices an entry in the span of another service', async () => {
    const spans = (await chain()).map((span) =>
      span.service === 'hop2' ? { ...span, service: 'hop3' as const } : span,
    )
    expect(() => rebuildLineage(spans)).toThrow(/^hop3: .* is one of "spiffe:\/\/example.org\/hop2"$/)
  })

  it('refuses what is no entry', async () => {
    for (const signature of [undefined, 7, 'a.b.c']) {
      const spans = forged(await chain(), 0, { 'kest.signature': signature })
      expect(() => rebuildLineage(spans)).toThrow(
        expect.objectContaining({ name: 'PassportVerificationError' }),
      )
    }
  })

  it('takes denials, and spans of others, for no evidence', async () => {
    const denied = new Recorder('hop1')
    const { state } = await new Recorder('hop1').kest.begin(ROOT)
    const engine = new MockPolicyEngine({ p: false })
    await expect(denied.kest.begin({ ...NEXT, engine }, { state })).rejects.toThrow()
    expect(denied.spans()).toHaveLength(1)
    const others = forged(await chain(), 0, {}).map((span) => ({ ...span, scope: 'another' }))
    expect(rebuildLineage([...denied.spans(), ...others]).records).toEqual([])
  })
})

describe('judging what somebody has made of a passport', () => {
  let lineage: RebuiltLineage
  let passport: Passport

  beforeEach(async () => {
    lineage = rebuildLineage(await chain())
    passport = lineage.passport
  })

  it('finds no fault in the lineage itself', async () => {
    expect(await faultOf(passport, lineage, trust)).toBeNull()
  })

  it('TC-02 finds the entry in which a byte was changed', async () => {
    for (const [index, service] of CHAIN.entries()) {
      const changed = withByteChanged(passport, index)
      expect(differingBytes(changed.entries[index]!, passport.entries[index]!)).toBe(1)
      expect(await faultOf(changed, lineage, trust)).toMatchObject({
        code: 'ERR_KEST_SIGNATURE',
        record: { service },
      })
    }
  })

  it('F-PA-06 finds the child of an entry that was removed', async () => {
    expect(await faultOf(withoutEntry(passport, 0), lineage, trust)).toMatchObject({
      code: 'ERR_KEST_PARENT_UNKNOWN',
      record: { service: 'hop2' },
    })
    expect(await faultOf(withoutEntry(passport, 1), lineage, trust)).toMatchObject({
      code: 'ERR_KEST_PARENT_UNKNOWN',
      record: { service: 'hop3' },
    })
  })

  it('K-TIP misses the tip of a tail that was cut off, down to nothing', async () => {
    for (const index of [2, 1, 0]) {
      expect(await faultOf(withoutTail(passport, index), lineage, trust)).toMatchObject({
        code: 'ERR_KEST_TIP',
        record: { service: 'hop3' },
      })
    }
  })

  it('K-BIND accepts no other service’s key', async () => {
    const [first, , third] = CHAIN.map(principalOf) as [string, string, string]
    const swapped = { ...keys, [first]: keys[third]!, [third]: keys[first]! }
    expect(await faultOf(passport, lineage, { keys: swapped })).toMatchObject({
      code: 'ERR_KEST_SIGNATURE',
      record: { service: 'hop1' },
    })
  })

  function differingBytes(a: string, b: string): number {
    const [left, right] = [a, b].map((jws) => Buffer.from(jws.split('.')[1]!, 'base64url')) as [
      Buffer,
      Buffer,
    ]
    expect(left).toHaveLength(right.length)
    return left.filter((byte, i) => byte !== right[i]).length
  }
})

describe('the audit table', () => {
  it('has one line for each entry, with its parents', async () => {
    const { records } = rebuildLineage(await diamond())
    const table = auditTable(records).split('\n')
    expect(table).toHaveLength(2 + 4)
    const [root, a, b] = records.map(({ entry }) => `${entry.hash.slice(0, 8)}…${entry.hash.slice(-4)}`)
    const parents = table.slice(2).map((line) => line.split(' | ')[2]!.trim())
    expect(parents.slice(0, 3)).toEqual(['0', root, root])
    expect(new Set(parents[3]!.split(' '))).toEqual(new Set([a, b]))
  })
})

describe('reading exported spans', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kest-auditor-'))
  beforeAll(() => {
    for (const service of CHAIN) writeFileSync(spansFileOf(folder, service), '')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it.each([
    ['{"service":"hop2","scope":"kest.core"', 'not a span of a service'],
    ['null', 'not a span of a service'],
    ['{"service":"hop4","scope":"kest.core","attributes":{}}', 'not a span of a service'],
    ['{"service":"hop2","scope":7,"attributes":{}}', 'not a span'],
    ['{"service":"hop2","scope":"kest.core","attributes":null}', 'not a span'],
  ])('says where %s is not one', async (line, message) => {
    const good = '{"service":"hop2","scope":"kest.core","attributes":{}}'
    writeFileSync(spansFileOf(folder, 'hop2'), `${good}\n${line}\n`)
    await expect(readSpans(folder)).rejects.toThrow(`hop2.spans.jsonl:2: ${message}`)
  })
})
