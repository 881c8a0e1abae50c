import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { WireType } from '@bufbuild/protobuf/wire'
import { ATTRIBUTE, SCOPE } from '@kest/core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type AuditFinding, readFiles } from '../src/index.js'
import type { ExportedSpan } from '../src/span/exported-span.js'
import { makeDenial, signedDenialOf } from '../src/testing/make-denial.js'
import { type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { denialOf, type OtlpSpan, otlpLine, receiptOf, spanOf } from '../src/testing/make-span.js'
import { bytes, message, text, type Write } from '../src/testing/write-protobuf.js'
import { auditOf, gateway, orders } from './support/audit.js'

const first: MadeEntry = makeEntry(gateway.current(), [])
const second: MadeEntry = makeEntry(orders.current(), [first])
const spans = [spanOf(first), spanOf(second), denialOf(second)]

async function read(
  content: string | Uint8Array,
): Promise<{ spans: ExportedSpan[]; others: number; findings: AuditFinding[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-answers-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'answer'), content)
  const all = { spans: [] as ExportedSpan[], others: 0, findings: [] as AuditFinding[] }
  for await (const batch of readFiles([join(folder, 'answer')])) {
    all.spans.push(...batch.spans)
    all.others += batch.others
    all.findings.push(...batch.findings)
  }
  return all
}

/** What OTLP has of the spans, which every other form must have, too. */
async function expected(): Promise<unknown> {
  return (await read(`${otlpLine('any', spans)}\n`)).spans.map(comparable)
}

function comparable({ place: _, ...span }: ExportedSpan): unknown {
  return span
}

type Tag = { key: string; type: string; value: unknown }

/** As Jaeger's UI model has a span: attributes are typed tags, the resource is a process, the scope a tag. */
function jaegerSpan({ name, traceId, spanId, attributes }: OtlpSpan, scope: string = SCOPE): object {
  const tags: Tag[] = Object.entries(attributes).map(([key, value]) => ({
    key,
    type: typeof value === 'boolean' ? 'bool' : typeof value === 'number' ? 'int64' : 'string',
    value,
  }))
  return {
    traceID: traceId,
    spanID: spanId,
    flags: 1,
    operationName: name,
    references: [],
    startTime: 1769860800000000,
    duration: 100,
    tags: [
      { key: 'otel.scope.name', type: 'string', value: scope },
      ...tags,
      { key: 'span.kind', type: 'string', value: 'internal' },
    ],
    logs: [],
    processID: 'p1',
    warnings: null,
  }
}

function jaegerAnswer(members: object = {}, ...list: readonly object[]): object {
  const some = list.length === 0 ? spans.map((one) => jaegerSpan(one)) : list
  return {
    data: [
      {
        traceID: '1',
        spans: some,
        processes: { p1: { serviceName: 'any', tags: [] } },
        warnings: null,
        ...members,
      },
    ],
    total: 0,
    limit: 0,
    offset: 0,
    errors: null,
  }
}

const enumerated =
  (field: number, value: number): Write =>
  (writer) =>
    writer.tag(field, WireType.Varint).int32(value)

function attribute(key: string, value: unknown): Uint8Array {
  const of: Write =
    typeof value === 'number'
      ? (writer) => writer.tag(3, WireType.Varint).int64(value)
      : text(1, String(value))
  return message(text(1, key), bytes(2, message(of)))
}

/** As protobuf has a trace of Tempo, whose list of spans of resources has the number that it has in an export. */
function tempoTrace(): Uint8Array {
  const resource = message(bytes(1, attribute('service.name', 'any')))
  const all = spans.map(({ name, traceId, spanId, attributes }) =>
    bytes(
      2,
      message(
        bytes(1, Buffer.from(traceId, 'hex')),
        bytes(2, Buffer.from(spanId, 'hex')),
        text(5, name),
        ...Object.entries(attributes).map(([key, value]) => bytes(9, attribute(key, value))),
      ),
    ),
  )
  const scopeSpans = message(bytes(1, message(text(1, SCOPE))), ...all)
  return message(bytes(1, message(bytes(1, resource), bytes(2, scopeSpans))))
}

describe('answers of Jaeger and Tempo hold the spans that an export holds:', () => {
  const otlp = JSON.parse(otlpLine('any', spans)) as object
  const batches = { batches: (otlp as { resourceSpans: unknown }).resourceSpans }
  it.each([
    ["Jaeger's own JSON, on one line", JSON.stringify(jaegerAnswer())],
    ["Jaeger's own JSON, as its UI saves it", JSON.stringify(jaegerAnswer(), null, 2)],
    [
      'several traces in it',
      JSON.stringify({
        data: spans.map((one) => ({ ...(jaegerAnswer({}, jaegerSpan(one)) as { data: object[] }).data[0] })),
      }),
    ],
    [
      'processes in the spans',
      JSON.stringify(
        jaegerAnswer(
          { processes: undefined },
          ...spans.map((one) => ({ ...jaegerSpan(one), process: { serviceName: 'any' } })),
        ),
      ),
    ],
    ["Jaeger's OTLP (/api/v3/traces)", JSON.stringify({ result: otlp })],
    [
      "several of Jaeger's, one a line",
      spans.map((one) => `${JSON.stringify({ result: JSON.parse(otlpLine('any', [one])) })}\n`).join(''),
    ],
    ["Tempo's trace", JSON.stringify(batches)],
    ["Tempo's v2", JSON.stringify({ trace: otlp, metrics: { inspectedBytes: '1' }, status: 'COMPLETE' })],
    ["Tempo's protobuf", tempoTrace()],
    ["Tempo's protobuf, compressed", gzipSync(tempoTrace())],
    ["Tempo's v2 in protobuf", message(bytes(1, tempoTrace()), bytes(2, message()), enumerated(3, 0))],
  ])('%s', async (_, content) => {
    const { spans: got, findings } = await read(content)
    expect(findings).toEqual([])
    expect(got.map(comparable)).toEqual(await expected())
  })

  it('passes over spans of others, and counts them', async () => {
    const other = { ...spanOf(first), attributes: { 'http.method': 'GET' } }
    const { spans: got, others } = await read(
      JSON.stringify(jaegerAnswer({}, jaegerSpan(other, 'express'), jaegerSpan(spanOf(first)))),
    )
    expect([got.length, others]).toEqual([1, 1])
  })

  it('believes no type that a tag does not have, and no tag that is there twice', async () => {
    const span = jaegerSpan(spanOf(first)) as { tags: Tag[] }
    const tags = span.tags.map((tag) => (tag.key === ATTRIBUTE.trustScore ? { ...tag, type: 'string' } : tag))
    const twice = [...tags, { key: ATTRIBUTE.signature, type: 'string', value: second.jws }]
    const [one] = (await read(JSON.stringify(jaegerAnswer({}, { ...span, tags: twice })))).spans
    expect(one?.claims).toMatchObject({ trustScore: null, signature: null })
    const text = span.tags.map((tag) => (tag.key === ATTRIBUTE.trustScore ? { ...tag, value: '40' } : tag))
    const [other] = (await read(JSON.stringify(jaegerAnswer({}, { ...span, tags: text })))).spans
    expect(other?.claims.trustScore).toBe(40)
  })

  it('knows no service of a process that is named by no text', async () => {
    const span = { ...jaegerSpan(spanOf(first)), processID: { toString: 1 } }
    const [one] = (await read(JSON.stringify(jaegerAnswer({}, span)))).spans
    expect(one?.service).toBeNull()
  })

  it('fills ids up whose zeros at the beginning were left out', async () => {
    const span = { ...jaegerSpan(spanOf(first)), traceID: '1', spanID: 'A' }
    const [one] = (await read(JSON.stringify(jaegerAnswer({}, span)))).spans
    expect([one?.traceId, one?.spanId]).toEqual([`${'0'.repeat(31)}1`, `${'0'.repeat(15)}a`])
  })
})

describe('what of an answer is not there, or not read, is said:', () => {
  const whole = jaegerAnswer() as { data: object[] }
  it.each([
    [
      'an error of Jaeger',
      JSON.stringify({ ...whole, errors: [{ code: 404, msg: 'trace not found' }] }),
      'trace not found',
    ],
    [
      'errors that cannot be texts',
      `{"data":[],"errors":[${'['.repeat(20_000)}${']'.repeat(20_000)},{"msg":{"toString":1}}]}`,
      'answers with errors (and 1 more)',
    ],
    [
      'an error of Jaeger, as it answers for a trace that it does not have',
      '{"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":404,"msg":"trace not found"}]}',
      'Jaeger answers with errors: trace not found',
    ],
    [
      'the same of its /api/v3',
      '{"error":{"httpCode":404,"message":"No traces found"}}',
      'Jaeger answers with an error: No traces found',
    ],
    ['an error that is no text', '{"error":{"message":{"toString":1}}}', 'Jaeger answers with an error'],
    ['errors that are no list', JSON.stringify({ ...whole, errors: 'no' }), 'answers with errors'],
    [
      'a member that nobody knows',
      JSON.stringify({ ...whole, more: [] }),
      'a member "more", which is not read',
    ],
    [
      'one in a trace',
      JSON.stringify(jaegerAnswer({ moreSpans: [] })),
      'a member "moreSpans", which is not read',
    ],
    ['spans that are no list', JSON.stringify({ data: [{ spans: {} }] }), 'its spans are no list'],
    [
      'a tag without a name',
      JSON.stringify(jaegerAnswer({}, { tags: [{ type: 'string', value: 'x' }] })),
      'a tag in it has no name',
    ],
    ['a span that is none', JSON.stringify({ data: [{ spans: [null] }] }), 'expected a span, got null'],
    [
      'traces that were only found (/api/search of Tempo)',
      '{"traces":[{"traceID":"1","rootServiceName":"any"}]}',
      'has a member "traces"',
    ],
    [
      'protobuf with a field that nobody knows',
      Buffer.concat([tempoTrace(), message(text(9, 'x'))]),
      'a field 9 in it is not one that is known',
    ],
    ['protobuf that breaks off', tempoTrace().subarray(0, -9), 'it cannot be read'],
  ])('%s', async (_, content, why) => {
    const { spans: got, findings } = await read(content)
    expect(got).toEqual([])
    expect(findings).toEqual([
      expect.objectContaining({ code: 'unreadable', message: expect.stringContaining(why) }),
    ])
  })

  it.each([
    [
      'a warning of Jaeger',
      JSON.stringify(jaegerAnswer({ warnings: ['too many spans'] })),
      'Jaeger warns of a trace in it: too many spans',
    ],
    [
      'many warnings of Jaeger, some of which cannot be texts',
      JSON.stringify(
        jaegerAnswer({ warnings: [{ toString: 1 }, ...Array.from({ length: 999 }, () => 'x')] }),
      ),
      'Jaeger warns of a trace in it (and 999 more)',
    ],
    [
      'a part of a trace',
      JSON.stringify({
        trace: JSON.parse(otlpLine('any', spans)),
        status: 'PARTIAL',
        message: 'trace exceeds max size',
      }),
      'a part of a trace alone: trace exceeds max size',
    ],
    [
      'a part of a trace in protobuf',
      message(bytes(1, tempoTrace()), enumerated(3, 1), text(4, 'too large')),
      'a part of a trace alone: too large',
    ],
  ])('%s, with what is there', async (_, content, why) => {
    const { spans: got, findings } = await read(content)
    expect(got).toHaveLength(3)
    expect(findings).toEqual([
      expect.objectContaining({ code: 'unreadable', message: expect.stringContaining(why) }),
    ])
  })

  it.each(['\n\n{"resourceSpans":[]}\n', '\n{\n\n}\n', '\n\x12\x04', '\n\n\n\n'])(
    'a text that begins as protobuf might: %j',
    async (content) => {
      const { findings } = await read(content)
      expect(findings.filter(({ message: said }) => said.includes('it cannot be read'))).toEqual([])
    },
  )

  it('K-AUDIT what was cut off at the bound of Tempo says so', async () => {
    const long = { environment: { pad: 'x'.repeat(3_000) } }
    const made = makeEntry(gateway.current(), [], long)
    const denied = makeDenial(orders.current(), [first], { operation: 'x'.repeat(3_000) })
    const cut = ({ attributes, ...span }: OtlpSpan): OtlpSpan => {
      const short = Object.entries(attributes).map(([key, value]) => {
        return [key, typeof value === 'string' ? value.slice(0, 2_048) : value]
      })
      return { ...span, attributes: Object.fromEntries(short) }
    }
    const child = makeEntry(orders.current(), [first, second])
    const all = [
      spanOf(first),
      spanOf(second),
      spanOf(made),
      signedDenialOf(denied),
      receiptOf(made),
      spanOf(child, [first, second, child]),
    ]
    const { traces } = await auditOf(all.map(cut))
    const said = traces.flatMap(({ findings }) => findings.filter((one) => one.message.includes('Tempo')))
    expect(new Set(said.map(({ code }) => code))).toEqual(
      new Set(['malformed', 'denial-broken', 'receipt-broken', 'passport-differs']),
    )
    const { traces: whole } = await auditOf(all)
    expect(JSON.stringify(whole)).not.toContain('Tempo')
  })
})
