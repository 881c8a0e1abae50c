import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { createKeySource } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { Audit, type AuditSummary, readStream, type TraceJson, traceJson } from '../src/index.js'
import { EVERYBODY } from '../src/testing/make-entry.js'

/** What Jaeger answered for a trace of three services, beside the line of the Collector that it was sent as. */
const FIXTURES = fileURLToPath(new URL('fixtures/jaeger/', import.meta.url))
const textOf = (name: string): Promise<string> => readFile(FIXTURES + name, 'utf8')

async function audited(text: string): Promise<{ trace: object | undefined; summary: AuditSummary }> {
  const trust = createKeySource(JSON.parse(await textOf('keys.json')))
  await using audit = new Audit({ trust, roots: EVERYBODY })
  await audit.read(readStream(Readable.from([Buffer.from(text)]), 'answer'))
  const traces: TraceJson[] = []
  for await (const report of audit.traces()) traces.push(traceJson(report))
  return { trace: traces[0] && placeless(traces[0]), summary: audit.summary() }
}

function placeless({ findings, denials, ...trace }: TraceJson): object {
  const without = <T extends { place: unknown }>({ place: _, ...one }: T): object => one
  return { ...trace, findings: findings.map(without), denials: denials.map(without) }
}

describe('what Jaeger 2 answers (github.com/jaegertracing/jaeger v1.76.0, cmd/jaeger)', () => {
  it.each(['api-traces', 'api-v3-traces'])(
    'K-AUDIT %s has all of the Collector’s file, to the same verdict',
    async (name) => {
      const [expected, got] = await Promise.all(
        ['collector', name].map(async (one) => audited(await textOf(`${one}.jsonl`))),
      )
      expect(expected?.trace).toMatchObject({ verdict: 'verified', findings: [] })
      expect(got).toEqual(expected)
      expect(got?.summary).toMatchObject({ spans: 4, otherSpans: 1, entries: 3, denials: 1 })
    },
  )

  it.each(['api-traces', 'api-v3-traces'])(
    'K-AUDIT %s is broken where an entry was altered',
    async (name) => {
      const text = await textOf(`${name}.jsonl`)
      const [, signature = ''] = /"(?:stringValue|value)":"(ey[\w-]+\.[\w-]+\.[\w-]+)"/.exec(text) ?? []
      const altered = `${signature.slice(0, -20)}${signature.at(-20) === 'A' ? 'B' : 'A'}${signature.slice(-19)}`
      const { trace } = await audited(text.replaceAll(signature, altered))
      expect(trace).toMatchObject({ verdict: 'broken' })
    },
  )

  it.each([
    ['api-traces-not-found', 'Jaeger answers with errors: trace not found'],
    ['api-v3-traces-not-found', 'Jaeger answers with an error: No traces found'],
  ])('K-AUDIT %s is an error that says it', async (name, message) => {
    const { summary } = await audited(await textOf(`${name}.jsonl`))
    expect(summary.general).toMatchObject([{ code: 'unreadable', message }])
  })
})
