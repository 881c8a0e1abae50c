import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ATTRIBUTE } from '@kest/core'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { AuditSaid } from '../src/testing/audit-child.js'
import { type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { denialOf, spanOf, withoutEntry } from '../src/testing/make-span.js'
import { type SHAPES, writeLarge } from '../src/testing/write-large.js'
import { auditOf, gateway, orders } from './support/audit.js'

const CHILD = fileURLToPath(new URL('../dist/testing/audit-child.js', import.meta.url))

/** Audits in a process of its own, whose heap is small. */
async function audit(shape: keyof typeof SHAPES, count: number, heapMiB: number): Promise<AuditSaid> {
  const path = await mkdtemp(join(tmpdir(), 'kest-large-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  const [spans, keys] = [join(path, 'spans.jsonl'), join(path, 'keys.json')]
  await writeFile(keys, JSON.stringify(await writeLarge(spans, shape, count)))
  const args = [`--max-old-space-size=${heapMiB}`, CHILD, spans, keys, '8388608']
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 67_108_864 })
  return JSON.parse(stdout) as AuditSaid
}

describe('an audit of what is large', () => {
  it('K-LIMIT traces that hold only denials take no more memory the more there are', async () => {
    expect(await audit('denials', 40_000, 64)).toMatchObject({
      denials: 40_000,
      verdicts: { empty: 40_000 },
      counts: [],
    })
  })

  it('K-LIMIT denials of one trace are counted all, and listed to a bound', async () => {
    expect(await audit('denials-of-one-trace', 60_000, 64)).toMatchObject({
      denials: 60_000,
      verdicts: { empty: 1 },
      counts: [],
    })
    const denial = denialOf(makeEntry(gateway.current(), []))
    const { traces, summary } = await auditOf(Array.from({ length: 1_001 }, () => denial))
    expect(traces[0]?.denials).toHaveLength(1_000)
    expect(traces[0]?.denialCount).toBe(1_001)
    expect(summary.denials).toBe(1_001)
  })

  it('K-LIMIT sound traces take no more memory the more there are', async () => {
    expect(await audit('sound', 5_000, 64)).toMatchObject({ verdicts: { verified: 5_000 }, counts: [] })
  })

  it('K-AUDIT a trace larger than the memory for spans is judged whole', async () => {
    expect(await audit('one-trace', 4_000, 128)).toMatchObject({
      spans: 4_000,
      verdicts: { verified: 1 },
      counts: [['forked', 1]],
    })
  })

  it('K-LIMIT a trace larger than a trace may be is an error, and not verified, and is whole with more memory', async () => {
    const root = makeEntry(gateway.current(), [])
    const made = Array.from({ length: 8_000 }, () => makeEntry(orders.current(), [root]))
    const spans = [root, ...made].map((one: MadeEntry) => spanOf(one))
    const { traces } = await auditOf(spans, { memory: 1_048_576 })
    expect(traces).toHaveLength(1)
    expect(traces[0]).toMatchObject({ verdict: 'incomplete', passport: null })
    expect(traces[0]?.findings).toMatchObject([
      { code: 'forked' },
      { code: 'limit', message: expect.stringMatching(/^\d+ of its spans, .* were not judged/) },
    ])
    const whole = await auditOf(spans, { memory: 8_388_608 })
    expect(whole.traces).toMatchObject([{ verdict: 'verified', findings: [{ code: 'forked' }] }])
    expect(whole.traces[0]?.entries).toHaveLength(8_001)
    expect(whole.traces[0]?.entries.at(-1)?.entry.operation).toBe('GET /orders/:id')
  })

  it('K-LIMIT findings of a trace are counted all, and told apart to a bound', async () => {
    const made = makeEntry(gateway.current(), [])
    const unsigned = withoutEntry(spanOf(made))
    unsigned.attributes[ATTRIBUTE.decision] = 'allow'
    const { traces, summary } = await auditOf([
      spanOf(made),
      ...Array.from({ length: 1_500 }, () => unsigned),
    ])
    expect(traces[0]?.verdict).toBe('incomplete')
    expect(traces[0]?.findings).toHaveLength(1_001)
    expect(traces[0]?.findings.at(-1)).toMatchObject({
      code: 'unsigned',
      message: 'and 500 more of these',
      times: 500,
    })
    expect(summary.findings.get('unsigned')).toBe(1_500)
  })
})
