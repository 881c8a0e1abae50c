import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { createKest, createKeySource, KestError } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  Audit,
  OtlpReceiver,
  type OtlpReceiverOptions,
  type SpanBatch,
  type TraceReport,
} from '../src/index.js'
import { EVERYBODY, type MadeEntry, makeEntry } from '../src/testing/make-entry.js'
import { otlpLine, spanOf } from '../src/testing/make-span.js'

const identity = new MockIdentityProvider('orders')
const trust = createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })
const JSON_TYPE = 'application/json'
const PROTOBUF_TYPE = 'application/x-protobuf'

async function listen(options: OtlpReceiverOptions = {}): Promise<OtlpReceiver> {
  const receiver = await OtlpReceiver.listen({ port: 0, ...options })
  onTestFinished(() => receiver.close())
  return receiver
}

/** A receiver, and an audit that reads it until it is closed. */
async function listening(options: OtlpReceiverOptions = {}) {
  const receiver = await listen(options)
  const audit = new Audit({ trust, roots: EVERYBODY })
  onTestFinished(() => audit.close())
  const read = audit.read(receiver)
  const end = async () => {
    await receiver.close()
    await read
    const traces: TraceReport[] = []
    for await (const trace of audit.traces()) traces.push(trace)
    return { traces, summary: audit.summary() }
  }
  return { receiver, end }
}

function entry(): MadeEntry {
  return makeEntry(identity.current(), [], { timestamp_ms: Date.now() })
}

function exportOf(...entries: readonly MadeEntry[]): string {
  return otlpLine(
    'orders',
    entries.map((made) => spanOf(made, [made])),
  )
}

function post(
  { url }: OtlpReceiver,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(url, { method: 'POST', body, headers: { 'content-type': JSON_TYPE, ...headers } })
}

describe('OtlpReceiver', () => {
  it.each([
    ['JSON', (url: string): SpanExporter => new JsonExporter({ url })],
    ['protobuf', (url: string): SpanExporter => new ProtobufExporter({ url })],
  ])(
    "K-AUDIT what OpenTelemetry's exporter sends as %s is proven, with the time it came",
    async (_, exporterTo) => {
      const { receiver, end } = await listening()
      const provider = new BasicTracerProvider({
        resource: resourceFromAttributes({ 'service.name': 'orders' }),
        spanProcessors: [new BatchSpanProcessor(exporterTo(receiver.url))],
      })
      const kest = createKest({
        identity,
        engine: new MockPolicyEngine(),
        trust,
        telemetry: { tracerProvider: provider },
        logger: new RecordingLogger(),
      })
      const root = await kest.begin({ operation: 'read', policy: 'p', origin: 'system' })
      await kest.begin({ operation: 'write', policy: 'p' }, { state: root.state })
      provider.getTracer('something else').startSpan('not ours').end()
      await provider.shutdown()

      const { traces, summary } = await end()
      expect(traces).toMatchObject([{ verdict: 'verified', time: 'witnessed', findings: [] }])
      expect(traces[0]?.entries.map(({ service, claimedService }) => [service, claimedService])).toEqual([
        ['orders', 'orders'],
        ['orders', 'orders'],
      ])
      expect(summary).toMatchObject({ spans: 2, otherSpans: 1, general: [] })
    },
  )

  it('answers as it was asked: JSON with JSON, protobuf with protobuf, also compressed', async () => {
    const { receiver, end } = await listening()
    const json = await post(receiver, exportOf(entry()))
    expect([json.status, json.headers.get('content-type'), await json.text()]).toEqual([200, JSON_TYPE, '{}'])
    const zipped = await post(receiver, gzipSync(exportOf(entry())), { 'content-encoding': 'gzip' })
    expect(zipped.status).toBe(200)
    const empty = await post(receiver, '{}')
    expect(empty.status).toBe(200)
    const protobuf = await post(receiver, new Uint8Array(), { 'content-type': PROTOBUF_TYPE })
    expect([protobuf.status, protobuf.headers.get('content-type'), await protobuf.text()]).toEqual([
      200,
      PROTOBUF_TYPE,
      '',
    ])
    expect((await end()).summary).toMatchObject({ spans: 2, general: [] })
  })

  it.each([
    ['what is no JSON', '{"resourceSpans":', {}, 400],
    ['JSON that is no export', '{"resourceSpans":{}}', {}, 400],
    ['spans that are no list', '{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}', {}, 400],
    ['scopes that are no list', '{"resourceSpans":[{"scopeSpans":"x"}]}', {}, 400],
    [
      'attributes that are no list',
      '{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":1}]}]}]}',
      {},
      400,
    ],
    ['what is not UTF-8', new Uint8Array([0x7b, 0xff]), {}, 400],
    ['what is no protobuf', new Uint8Array([0x0a, 0x7f]), { 'content-type': PROTOBUF_TYPE }, 400],
    ['what gzip did not write', 'plain', { 'content-encoding': 'gzip' }, 400],
    [
      'what comes after the end of what gzip wrote',
      Buffer.concat([gzipSync('{}'), Buffer.alloc(4), gzipSync('{}')]),
      { 'content-encoding': 'gzip' },
      400,
    ],
    ['another compression', '{}', { 'content-encoding': 'br' }, 415],
    ['another type', '{}', { 'content-type': 'text/plain' }, 415],
    ['a body that is too large', JSON.stringify({ resourceSpans: [], padding: 'x'.repeat(5_000) }), {}, 413],
    [
      'a body that is too large once it is uncompressed',
      gzipSync(Buffer.alloc(50_000_000)),
      { 'content-encoding': 'gzip' },
      413,
    ],
  ] as const)('refuses %s, and the auditor hears of it', async (_, body, headers, status) => {
    const { receiver, end } = await listening({
      maxBodyBytes: 4_096 + 60_000 * Number(typeof body !== 'string'),
    })
    const answer = await post(receiver, body, headers)
    expect(answer.status).toBe(status)
    if (answer.headers.get('content-type') === JSON_TYPE)
      expect(await answer.json()).toHaveProperty('message')
    const after = await post(receiver, exportOf(entry()))
    expect(after.status).toBe(200)
    const { summary } = await end()
    expect(summary.spans).toBe(1)
    expect(summary.general).toMatchObject([{ code: 'unreadable', place: 'otlp:1' }])
  })

  it.each([
    ['JSON', `{"resourceSpans":[${'{},'.repeat(1_000_000)}{}]}`, JSON_TYPE],
    ['protobuf', Buffer.from('0a00'.repeat(1_000_001), 'hex'), PROTOBUF_TYPE],
  ])('refuses what is small and would be large in memory: %s', async (_, body, type) => {
    const { receiver, end } = await listening()
    const headers = { 'content-type': type, 'content-encoding': 'gzip' }
    expect((await post(receiver, gzipSync(body), headers)).status).toBe(413)
    expect((await end()).summary).toMatchObject({ spans: 0, general: [{ place: 'otlp:1' }] })
  })

  it('outlives a sender whose body breaks off its own form', async () => {
    const { receiver, end } = await listening()
    const { hostname, port } = new URL(receiver.url)
    const socket = connect(Number(port), hostname)
    socket.resume()
    const head = `POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: ${JSON_TYPE}\r\n`
    socket.write(`${head}transfer-encoding: chunked\r\n\r\n5\r\n{"res\r\nno length\r\n`)
    await once(socket, 'close')
    expect((await post(receiver, exportOf(entry()))).status).toBe(200)
    expect((await end()).summary).toMatchObject({ spans: 1, general: [] })
  })

  it('has nothing else to offer', async () => {
    const { receiver, end } = await listening()
    const elsewhere = await fetch(new URL('/v1/logs', receiver.url), { method: 'POST', body: '{}' })
    expect(elsewhere.status).toBe(404)
    const got = await fetch(receiver.url)
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST'])
    expect((await end()).summary).toMatchObject({ spans: 0, general: [] })
  })

  it('answers only when the batch was taken, and takes no more than it may hold', async () => {
    const body = exportOf(entry())
    const receiver = await listen({ maxBodyBytes: body.length, maxPendingBytes: 2 * body.length })
    const answered: number[] = []
    const first = post(receiver, body).then(({ status }) => answered.push(status))
    const second = post(receiver, body).then(({ status }) => answered.push(status))
    await expect.poll(() => receiver.pending).toBe(2)
    // Both are there and nobody reads: a third has no room.
    const third = await post(receiver, body)
    expect(third.status).toBe(503)
    expect(third.headers.get('retry-after')).toBe('1')
    expect(answered).toEqual([])

    const reader = receiver[Symbol.asyncIterator]()
    expect((await reader.next()).value).toMatchObject({ spans: [{ service: 'orders' }] })
    expect(answered).toEqual([])
    const more = reader.next()
    await Promise.race([first, second])
    expect(answered).toEqual([200])
    await more
    await reader.return()
    await Promise.all([first, second])
    // The second was in a reader's hands that did not come back.
    expect(answered).toEqual([200, 503])
    expect((await post(receiver, exportOf(entry()))).status).toBe(503)
  })

  it('takes all from many while others send nothing, or next to nothing', async () => {
    const { receiver, end } = await listening({ maxBodyBytes: 100_000, maxPendingBytes: 200_000 })
    const idle = Array.from({ length: 40 }, () => {
      const one = request(receiver.url, { method: 'POST', headers: { 'content-type': JSON_TYPE } })
      one.on('error', () => undefined)
      one.write('{')
      return one
    })
    await expect.poll(() => receiver.pending).toBe(idle.length)
    for (let n = 0; n < 100; n++) expect((await post(receiver, exportOf(entry()))).status).toBe(200)
    for (const one of idle) one.destroy()
    await expect.poll(() => receiver.pending).toBe(0)
    expect((await end()).summary).toMatchObject({ spans: 100, general: [] })
  })

  it('has who is silent make room for who sends, and tells the auditor', async () => {
    const { receiver, end } = await listening({ maxBodyBytes: 100_000, maxPendingBytes: 100_000 })
    const hoards = request(receiver.url, { method: 'POST', headers: { 'content-type': JSON_TYPE } })
    hoards.on('error', () => undefined)
    const answer = once(hoards, 'response')
    hoards.write('x'.repeat(99_999))
    const body = exportOf(entry())
    let status: number
    do status = (await post(receiver, body)).status
    while (status === 503)
    expect(status).toBe(200)
    const [{ statusCode }] = (await answer) as [{ statusCode: number }]
    expect(statusCode).toBe(503)
    expect((await end()).summary).toMatchObject({
      spans: 1,
      general: [
        {
          code: 'limit',
          severity: 'error',
          place: 'otlp',
          message: expect.stringMatching(/^\d+ requests were refused/),
        },
      ],
    })
  })

  it('finishes what is on its way when it is closed, and takes nothing new', async () => {
    const receiver = await listen()
    const batches: SpanBatch[] = []
    const slow = request(receiver.url, { method: 'POST', headers: { 'content-type': JSON_TYPE } })
    const body = exportOf(entry())
    slow.write(body.slice(0, 10))
    const answer = once(slow, 'response')
    const read = (async () => {
      for await (const batch of receiver) batches.push(batch)
    })()
    // It has been seen when there is no room for a second.
    await expect.poll(() => receiver.pending).toBe(1)
    const closed = receiver.close()
    await expect(post(receiver, body)).rejects.toThrow('fetch failed')
    slow.end(body.slice(10))
    const [{ statusCode }] = (await answer) as [{ statusCode: number }]
    expect(statusCode).toBe(200)
    await closed
    await read
    expect(batches.map(({ spans }) => spans.length)).toEqual([1])
  })

  it('counts nothing of a request whose sender leaves in the middle', async () => {
    const { receiver, end } = await listening()
    const body = exportOf(entry())
    const left = request(receiver.url, { method: 'POST', headers: { 'content-type': JSON_TYPE } })
    left.on('error', () => undefined)
    left.write(body.slice(0, -5))
    await expect.poll(() => receiver.pending).toBe(1)
    left.destroy()
    await expect.poll(() => receiver.pending).toBe(0)
    expect((await end()).summary).toMatchObject({ spans: 0, general: [] })
  })

  it('does not wait for ever for a request that does not come', async () => {
    const { receiver, end } = await listening({ requestTimeoutMs: 200 })
    const { hostname, port } = new URL(receiver.url)
    const socket = connect(Number(port), hostname)
    let said = ''
    socket.on('data', (data) => {
      said += data.toString()
    })
    socket.write(
      `POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: ${JSON_TYPE}\r\ncontent-length: 100\r\n\r\n{`,
    )
    await once(socket, 'close')
    expect(said).toMatch(/^HTTP\/1\.1 408 /)
    expect((await end()).summary).toMatchObject({ spans: 0, general: [{ code: 'limit', place: 'otlp' }] })
  })

  it('takes from many at once, and keeps nothing of what was taken', async () => {
    const { receiver, end } = await listening()
    const entries = Array.from({ length: 200 }, entry)
    const bodies = entries.map((made) => exportOf(made))
    const sender = async (): Promise<void> => {
      for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) {
        let status: number
        do status = (await post(receiver, body)).status
        while (status === 503)
        expect(status).toBe(200)
      }
    }
    await Promise.all(Array.from({ length: 20 }, sender))
    await expect.poll(() => receiver.pending).toBe(0)
    const { traces, summary } = await end()
    expect(summary.spans).toBe(200)
    expect(traces.filter(({ verdict }) => verdict === 'verified')).toHaveLength(200)
  })

  it.each<[string, object]>([
    ['a port that is none', { port: 65_536 }],
    ['no host', { host: '' }],
    ['no room', { maxPendingBytes: 20_971_519 }],
    ['a body of a negative size', { maxBodyBytes: -1 }],
    ['an option that there is not', { prot: 4318 }],
  ])('refuses %s', async (_, options) => {
    await expect(OtlpReceiver.listen(options)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })

  it('says when it cannot listen', async () => {
    const receiver = await listen()
    const taken = OtlpReceiver.listen({ port: Number(new URL(receiver.url).port) })
    await expect(taken).rejects.toThrow(KestError)
    await expect(taken).rejects.toThrow(/EADDRINUSE/)
  })
})
