import {
  ATTRIBUTE,
  createKeySource,
  createRootList,
  KestConfigError,
  type KeySource,
  type RootList,
} from '@kest/core'
import { describe, expect, it } from 'vitest'
import { Audit, type JudgedLineage, type LineageSource, readOtlp, TraceJudge } from '../src/index.js'
import { makeDenial, signedDenialOf } from '../src/testing/make-denial.js'
import { EVERYBODY, type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { type OtlpSpan, otlpLine, spanOf } from '../src/testing/make-span.js'
import { auditOf, gateway, orders } from './support/audit.js'

function keysOf(...identities: readonly (typeof gateway)[]): KeySource {
  return createKeySource(new Map(identities.map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])))
}

const [GATEWAY, ORDERS] = [keysOf(gateway), keysOf(orders)]

interface Trace {
  readonly traceId: string
  readonly spans: readonly OtlpSpan[]
}

function traceOf(...made: readonly MadeEntry[]): Trace {
  return { traceId: made[0]?.entry.labels['trace_id'] as string, spans: made.map((one) => spanOf(one)) }
}

/** @param between is done between two traces, and before entries of others are looked for */
function sourceOf(traces: readonly Trace[], between: () => void = () => {}): LineageSource {
  return {
    *lineages(only) {
      const wanted = traces.filter(({ traceId }) => only?.has(traceId) ?? true)
      for (const [n, { traceId, spans }] of wanted.entries()) {
        if (n > 0) between()
        const bytes = Buffer.from(otlpLine('any', spans))
        const place = { file: 'a', line: 1 }
        yield { id: traceId, traceId, ...readOtlp({ encoding: 'json', bytes, place, receivedAt: null }) }
      }
    },
    async *entries() {
      between()
      const all = traces.flatMap(({ spans }) => spans)
      yield { signatures: () => all.map(({ attributes }) => attributes[ATTRIBUTE.signature] as string) }
    },
  }
}

async function judged(
  judge: TraceJudge,
  source: LineageSource,
): Promise<Map<string, JudgedLineage['report']>> {
  const reports = new Map<string, JudgedLineage['report']>()
  for await (const { id, report } of judge.judge(source)) reports.set(id, report)
  return reports
}

const verdicts = (reports: ReadonlyMap<string, { readonly verdict: string }>): string[] =>
  [...reports.values()].map(({ verdict }) => verdict)

describe('trust that changes while it is judged', () => {
  it('K-ANCHOR counts from the next judgement on: a key that comes, and one that goes', async () => {
    let trust: KeySource = GATEWAY
    const judge = new TraceJudge({ trust: () => trust, roots: EVERYBODY })
    const [one, other] = [traceOf(makeEntry(gateway.current(), [])), traceOf(makeEntry(orders.current(), []))]
    expect(verdicts(await judged(judge, sourceOf([one, other])))).toEqual(['verified', 'broken'])
    trust = ORDERS
    expect(verdicts(await judged(judge, sourceOf([one, other])))).toEqual(['broken', 'verified'])
    trust = GATEWAY
    expect(verdicts(await judged(judge, sourceOf([one, other])))).toEqual(['verified', 'broken'])
  })

  it('K-ANCHOR is one from the beginning of a judgement to its end: nothing is verified under half of one and half of another', async () => {
    let trust: readonly KeySource[] = [GATEWAY]
    const judge = new TraceJudge({ trust: () => trust, roots: EVERYBODY })
    const first = makeEntry(gateway.current(), [])
    const second = makeEntry(orders.current(), [first])
    // Of another trace, so that both are verified as entries of others, too, and remembered.
    const third = makeEntry(orders.current(), [first, second], { labels: { trace_id: 'ab'.repeat(16) } })
    const traces = [traceOf(first, second), traceOf(third)]
    const swap = (): void => {
      trust = trust[0] === GATEWAY ? [ORDERS] : [GATEWAY]
    }
    for (const known of ['gateway', 'orders', 'gateway']) {
      trust = known === 'gateway' ? [GATEWAY] : [ORDERS]
      const reports = await judged(judge, sourceOf(traces, swap))
      const statuses = [...reports.values()].flatMap(({ entries }) =>
        entries.map(({ principal, failure }) => [principal, failure === null]),
      )
      expect(statuses.length).toBeGreaterThan(2)
      for (const [principal, holds] of statuses)
        expect([principal, holds]).toEqual([principal, String(principal).endsWith(known)])
    }
  })

  it('K-DENIAL counts for signed denials as well', async () => {
    let trust: KeySource = ORDERS
    const judge = new TraceJudge({ trust: () => trust, roots: EVERYBODY })
    const denial = signedDenialOf(makeDenial(gateway.current(), []), 'ab'.repeat(16))
    const proofs: (string | undefined)[] = []
    for (const source of [ORDERS, GATEWAY, ORDERS]) {
      trust = source
      const reports = await judged(judge, sourceOf([{ traceId: 'ab'.repeat(16), spans: [denial] }]))
      proofs.push([...reports.values()][0]?.denials[0]?.proof)
    }
    expect(proofs).toEqual(['failed', 'signed', 'failed'])
  })

  it('K-ROOTS counts with the list of roots that is in force', async () => {
    let roots: RootList = createRootList([])
    const judge = new TraceJudge({ trust: GATEWAY, roots: () => roots })
    const trace = traceOf(makeEntry(gateway.current(), []))
    const codes = async (): Promise<readonly string[]> =>
      [...(await judged(judge, sourceOf([trace]))).values()].flatMap(({ findings }) =>
        findings.map(({ code }) => code),
      )
    expect(await codes()).toContain('unlisted-root')
    roots = createRootList([{ workload: gateway.getWorkloadId(), ceiling: 100, identity: true }])
    expect(await codes()).not.toContain('unlisted-root')
    roots = createRootList([])
    expect(await codes()).toContain('unlisted-root')
  })

  it('K-ANCHOR is asked for by an audit when that judges, and once', async () => {
    let asked = 0
    let trust: KeySource = ORDERS
    const options = {
      trust: () => {
        asked++
        return trust
      },
    }
    const spans = [spanOf(makeEntry(gateway.current(), [])), spanOf(makeEntry(gateway.current(), []))]
    await using later = new Audit({ ...options, roots: EVERYBODY })
    expect(asked).toBe(1)
    trust = GATEWAY
    const { traces } = await auditOf(spans, options)
    expect([traces.map(({ verdict }) => verdict), asked]).toEqual([['verified', 'verified'], 3])
    for await (const _ of later.traces()) throw new Error('nothing was read')
  })

  it('is refused at once when it is none, and later by the judgement', async () => {
    const wrong = { trust: () => 'keys' as never }
    expect(() => new TraceJudge(wrong)).toThrow(KestConfigError)
    expect(() => new TraceJudge({ trust: GATEWAY, roots: () => undefined as never })).toThrow(
      'audit: roots: expected a list, got undefined',
    )
    let trust = GATEWAY
    const judge = new TraceJudge({ trust: () => trust })
    trust = null as never
    expect(() => judge.judge(sourceOf([]))).toThrow(/verify: trust: expected a key source, got null/)
  })
})
