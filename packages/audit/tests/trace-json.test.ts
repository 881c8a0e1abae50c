import { createKeySource, KestError } from '@kest/core'
import { describe, expect, it } from 'vitest'
import {
  type Denial,
  findingJson,
  parseFindingJson,
  parseTraceJson,
  type TraceReport,
  traceJson,
} from '../src/index.js'
import { makeEntry } from '../src/testing/make-entry.js'
import { denialOf, receiptOf, spanOf } from '../src/testing/make-span.js'
import { DEFECTS, soundTrace, Workloads } from '../src/testing/plant.js'
import { auditOf, gateway, orders } from './support/audit.js'

type Json = Record<string, unknown>

/** As it is written, and read. */
function written(report: TraceReport): Json {
  return JSON.parse(JSON.stringify(traceJson(report)))
}

/** What is written of it. */
function told(report: TraceReport): TraceReport {
  const untold = { service: null, parents: [] }
  const denied = (one: Denial): Denial =>
    one.signed === null ? { ...one, ...untold, proof: 'unsigned' } : { ...one, service: null }
  return {
    ...report,
    passport: null,
    entries: report.entries.map((one) => ({ ...one, entry: one.entry, claimedService: null })),
    denials: report.denials.map(denied),
  }
}

async function planted(): Promise<readonly TraceReport[]> {
  const workloads = new Workloads()
  const traces = [soundTrace(workloads), ...Object.values(DEFECTS).map((defect, n) => defect(workloads, n))]
  const spans = traces.flatMap((one) => one.spans.map(({ span }) => span))
  const trust = createKeySource(new Map(Object.entries(workloads.keys())) as never)
  return (await auditOf(spans, { trust })).traces
}

describe('a trace as it is written', () => {
  it('is read as it was judged, whatever is wrong with it', async () => {
    const reports = await planted()
    expect(reports.length).toBeGreaterThan(50)
    for (const report of reports) expect(parseTraceJson(written(report))).toEqual(told(report))
    for (const one of reports.flatMap(({ findings }) => findings))
      expect(parseFindingJson(JSON.parse(JSON.stringify(findingJson(one))))).toEqual(one)
  })

  it('is read in the order of lineage, in whatever order its entries are written', async () => {
    const first = makeEntry(gateway.current(), [])
    const second = makeEntry(orders.current(), [first])
    const { traces } = await auditOf([first, second].map((made) => spanOf(made)))
    const { entries, ...rest } = written(traces[0] as TraceReport) as Json & { entries: readonly Json[] }
    expect(parseTraceJson({ ...rest, entries: entries.toReversed() })).toEqual(told(traces[0] as TraceReport))
  })

  it('says of what is signed what is signed, and nothing that is written beside', async () => {
    const made = makeEntry(gateway.current(), [])
    const { traces } = await auditOf([spanOf(made)])
    const one = written(traces[0] as TraceReport) as Json & { entries: readonly Json[] }
    const changed = {
      principal: 'spiffe://kest.test/nobody',
      service: 'nobody',
      operation: 'another',
      timestamp_ms: 1,
      parent_ids: ['b'.repeat(64)],
      entry_id: 'another',
    }
    expect(parseTraceJson({ ...one, entries: [{ ...one.entries[0], ...changed }] })).toEqual(
      told(traces[0] as TraceReport),
    )
  })

  it('is not read where a member is left out, or is of another kind, or contradicts another', async () => {
    const first = makeEntry(gateway.current(), [])
    const denied = denialOf(makeEntry(orders.current(), [first]))
    const second = makeEntry(orders.current(), [first])
    const { traces } = await auditOf([spanOf(first), denied, receiptOf(second)])
    const one = written(traces[0] as TraceReport) as Json & Record<'entries' | 'findings', readonly Json[]>
    expect(one).toMatchObject({ denials: [{}], receipts: [{}], findings: [{}] })
    const derived = new Set(['service', 'principal', 'entry_id', 'operation', 'parent_ids', 'timestamp_ms'])
    const refused: string[] = []
    for (const [path, changed] of changes(one)) {
      const [member, , name] = path.split('.') as [string, string?, string?]
      if (member === 'entries' && derived.has(name ?? '')) continue
      if (member === 'findings' && name === 'severity') continue
      expect(() => parseTraceJson(changed), path).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_EVIDENCE' }),
      )
      refused.push(path)
    }
    expect(refused.length).toBeGreaterThan(40)
    const entry = one.entries[0] as Json
    for (const [wrong, changed] of Object.entries({
      'an entry twice': { ...one, entries: [entry, entry] },
      'the hash of another': { ...one, entries: [{ ...entry, hash: 'a'.repeat(64) }] },
      'verified by what is not': {
        ...one,
        verdict: 'verified',
        entries: [{ ...entry, status: 'signed', trust_score: null, taints: [] }],
      },
      'trust of what is not verified': { ...one, entries: [{ ...entry, status: 'signed' }] },
      'a failure of what holds': { ...one, entries: [{ ...entry, failure: 'ERR_KEST_SIGNATURE' }] },
      'a kind that nobody knows': { ...one, findings: [{ ...one.findings[0], code: '__proto__' }] },
      'fewer denials than there are': { ...one, denial_count: 0 },
      'no trace at all': [],
    }))
      expect(() => parseTraceJson(changed), wrong).toThrow(KestError)
  })
})

/** Without each member in turn, and with another for it. */
function* changes(value: unknown): Generator<[path: string, changed: unknown]> {
  if (Array.isArray(value)) {
    for (const [i, one] of value.entries())
      for (const [path, changed] of changes(one)) yield [`${i}.${path}`, value.with(i, changed)]
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, one] of Object.entries(value)) {
      const { [name]: _, ...others } = value as Json
      // What may be left out is not there, or null.
      if (name !== 'receipts' && name !== 'outcome_of') yield [name, others]
      yield [name, { ...others, [name]: { other: true } }]
      for (const [path, changed] of changes(one)) yield [`${name}.${path}`, { ...others, [name]: changed }]
    }
  }
}
