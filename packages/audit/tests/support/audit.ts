import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKeySource } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import { onTestFinished } from 'vitest'
import {
  Audit,
  type AuditFinding,
  type AuditOptions,
  type AuditSummary,
  readFiles,
  type TraceReport,
  type TraceSelection,
} from '../../src/index.js'
import { EVERYBODY } from '../../src/testing/make-entry.js'
import { type OtlpSpan, otlpLine } from '../../src/testing/make-span.js'

/** Services whose keys the auditor has. */
export const gateway: MockIdentityProvider = new MockIdentityProvider('gateway')
export const orders: MockIdentityProvider = new MockIdentityProvider('orders')
export const payments: MockIdentityProvider = new MockIdentityProvider('payments')
/** One that he does not know. */
export const stranger: MockIdentityProvider = new MockIdentityProvider('stranger')

export const trust: ReturnType<typeof createKeySource> = createKeySource(
  new Map([gateway, orders, payments].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])),
)

export interface Audited {
  readonly traces: TraceReport[]
  readonly summary: AuditSummary
}

export async function auditOf(
  spans: readonly OtlpSpan[],
  options: Partial<AuditOptions> = {},
  selection: TraceSelection = {},
): Promise<Audited> {
  const path = await mkdtemp(join(tmpdir(), 'kest-audit-test-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  await writeFile(join(path, 'spans.jsonl'), spans.map((span) => `${otlpLine('any', [span])}\n`).join(''))
  await using one = new Audit({ trust, roots: EVERYBODY, ...options })
  await one.read(readFiles([join(path, 'spans.jsonl')]))
  const traces: TraceReport[] = []
  for await (const trace of one.traces(selection)) traces.push(trace)
  return { traces, summary: one.summary() }
}

/** Findings that are of no trace: code and text. */
export function general({ summary }: Audited): [code: string, message: string][] {
  return summary.general.map(({ code, message }: AuditFinding) => [code, message])
}
