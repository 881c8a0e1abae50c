import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { RecordingLogger } from '@kest/core/testing'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { kestWith, root } from '../../../tests/support/kest.js'
import { readableMetrics } from '../../../tests/support/metrics.js'
import { Receiver } from '../../../tests/support/receiver.js'
import { spansOf } from '../../../tests/support/spans.js'
import type { TelemetryOptions } from '../../setup/options.js'
import { setupTelemetry } from '../../setup/setup-telemetry.js'

afterEach(() => vi.unstubAllEnvs())

function setUp(options: TelemetryOptions) {
  const logger = new RecordingLogger()
  const telemetry = setupTelemetry({
    serviceName: 'orders',
    logger,
    timeoutMs: 60_000,
    exportDelayMs: 0,
    flushTimeoutMs: 60_000,
    ...options,
  })
  return { logger, telemetry, kest: kestWith(telemetry) }
}

/** What came twice, because the answer was late, is one. */
function entriesIn({ received }: Receiver): ReadonlySet<unknown> {
  const spans = received.flatMap(({ body }) => spansOf(body.toString()))
  return new Set(spans.map(({ attributes }) => attributes['kest.entry_id']))
}

describe('OTLP', () => {
  it('F-TE-03 posts to the endpoint that is stated', async () => {
    const receiver = await Receiver.listen()
    const { telemetry, kest } = setUp({ endpoint: receiver.origin, headers: { 'x-tenant': 'a' } })
    await kest.begin(root)
    await telemetry.shutdown()
    const [request] = receiver.received
    expect(request?.path).toBe('/v1/traces')
    expect(request?.headers).toMatchObject({ 'content-type': 'application/json', 'x-tenant': 'a' })
    expect(spansOf(String(request?.body))).toMatchObject([
      { service: 'orders', name: 'kest.verified.orders.read' },
    ])
  })

  it('takes a path as it is', async () => {
    const receiver = await Receiver.listen()
    const { telemetry, kest } = setUp({ endpoint: `${receiver.origin}/tenant/a` })
    await kest.begin(root)
    await telemetry.shutdown()
    expect(receiver.received.map(({ path }) => path)).toEqual(['/tenant/a'])
  })

  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', '/base', '/base/v1/traces'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', '/own', '/own'],
  ])('F-TE-03 respects %s, and what belongs to it', async (name, path, expected) => {
    const receiver = await Receiver.listen()
    vi.stubEnv(name, receiver.origin + path)
    vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'authorization=Bearer%20x,x-a=1')
    vi.stubEnv('OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'x-a=2')
    vi.stubEnv('OTEL_EXPORTER_OTLP_COMPRESSION', 'gzip')
    vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/protobuf')
    const { telemetry, kest } = setUp({})
    await kest.begin(root)
    await telemetry.shutdown()
    const [request] = receiver.received
    expect(request?.path).toBe(expected)
    expect(request?.headers).toMatchObject({
      authorization: 'Bearer x',
      'x-a': '2',
      'content-encoding': 'gzip',
      'content-type': 'application/x-protobuf',
    })
  })

  it('what is stated goes before the environment', async () => {
    const receiver = await Receiver.listen()
    vi.stubEnv('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'http://127.0.0.1:1/elsewhere')
    vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/protobuf')
    const { telemetry, kest } = setUp({ endpoint: receiver.origin, protocol: 'http/json' })
    await kest.begin(root)
    await telemetry.shutdown()
    expect(receiver.received[0]?.headers['content-type']).toBe('application/json')
  })

  it('waits as long as it may, and no less', async () => {
    const receiver = await Receiver.listen()
    const { telemetry, kest, logger } = setUp({ endpoint: receiver.origin, timeoutMs: 2 ** 31 - 1 })
    await kest.begin(root)
    await telemetry.shutdown()
    expect(receiver.received).toHaveLength(1)
    expect(logger.records).toEqual([])
  })

  it('respects OTEL_EXPORTER_OTLP_TIMEOUT', async () => {
    const receiver = await Receiver.listen()
    receiver.answer = () => null
    vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '500')
    const logger = new RecordingLogger()
    const telemetry = setupTelemetry({
      serviceName: 'x',
      endpoint: receiver.origin,
      logger,
      flushTimeoutMs: 60_000,
    })
    await kestWith(telemetry).begin(root)
    await expect.poll(() => logger.records[0]?.details['err']).toMatch(/timed out/)
    receiver.answer = () => ({ status: 200 })
    await telemetry.shutdown()
  })
})

describe('a receiver', () => {
  it.each<[string, (receiver: Receiver) => void | Promise<void>, RegExp]>([
    [
      'that refuses connections',
      (receiver) => receiver.close(),
      /^POST http:.*: connect ECONNREFUSED 127\.0\.0\.1:\d+$/,
    ],
    [
      'that hangs',
      (receiver) => {
        receiver.answer = () => null
      },
      /timed out/,
    ],
    [
      'that answers 500',
      (receiver) => {
        receiver.answer = () => ({ status: 500 })
      },
      /^HTTP 500 Internal Server Error from 127\.0\.0\.1:\d+: ""$/,
    ],
    [
      'that answers 503',
      (receiver) => {
        receiver.answer = () => ({ status: 503 })
      },
      /^HTTP 503 Service Unavailable from /,
    ],
    [
      'that does not know us',
      (receiver) => {
        receiver.answer = () => ({ status: 401 })
      },
      /Unauthorized/,
    ],
    [
      'at another path',
      (receiver) => {
        receiver.answer = () => ({ status: 404 })
      },
      /Not Found/,
    ],
    [
      'that is none, and knows bad requests',
      (receiver) => {
        receiver.answer = () => ({ status: 400, body: '<html><h1>400 Bad Request</h1>nginx</html>' })
      },
      /^HTTP 400 Bad Request from .*nginx/,
    ],
    [
      'that is none, and speaks of errors in JSON',
      (receiver) => {
        receiver.answer = () => ({ status: 422, body: '{"code":400,"message":"no such tenant"}' })
      },
      /^HTTP 422 .*no such tenant/,
    ],
    [
      'that refuses without a word',
      (receiver) => {
        receiver.answer = () => ({ status: 400 })
      },
      /^HTTP 400 Bad Request from /,
    ],
    [
      'behind a proxy that asks for a login',
      (receiver) => {
        receiver.answer = () => ({ status: 200, body: '<html>login</html>' })
      },
      /none of a receiver of OTLP/,
    ],
  ])('%s loses nothing: the spans are kept, and come when it is back', async (_, breakIt, message) => {
    const receiver = await Receiver.listen()
    const { port } = receiver
    await breakIt(receiver)
    const timeoutMs = message.test('timed out') ? 1_000 : 60_000
    const { telemetry, kest, logger } = setUp({ endpoint: `http://127.0.0.1:${port}`, timeoutMs })
    for (let n = 0; n < 3; n += 1) await kest.begin(root)
    await expect.poll(() => logger.records.length).toBe(1)
    expect(logger.records[0]).toMatchObject({
      level: 'error',
      message: 'audit spans cannot be exported; they are kept and tried again',
      details: {
        destination: `OTLP http://127.0.0.1:${port}/v1/traces`,
        err: expect.stringMatching(message),
      },
    })
    let back = receiver
    if (receiver.received.length === 0) back = await Receiver.listen(port)
    else {
      receiver.received.length = 0
      receiver.answer = () => ({ status: 200 })
    }
    await telemetry.shutdown()
    expect(entriesIn(back).size).toBe(3)
    expect(telemetry.counts).toMatchObject({ exported: 3, dropped: { overflow: 0, refused: 0, shutdown: 0 } })
    expect(logger.records.at(-1)?.message).toBe('audit spans are exported again')
  })

  it('that is away is told and counted at the first attempt, with status and address', async () => {
    const receiver = await Receiver.listen()
    receiver.answer = () => ({ status: 503, body: 'upstream', headers: { 'retry-after': '1' } })
    const { meterProvider, read } = readableMetrics()
    const { telemetry, kest, logger } = setUp({ endpoint: receiver.origin, timeoutMs: 60_000, meterProvider })
    await kest.begin(root)
    await expect.poll(() => logger.records.length).toBe(1)
    expect(receiver.received).toHaveLength(1)
    expect(logger.records[0]?.details).toEqual({
      remedy: expect.stringMatching(/^look /),
      destination: `OTLP ${receiver.origin}/v1/traces`,
      waiting: 1,
      status: 503,
      retry_after_ms: 1000,
      err: `HTTP 503 Service Unavailable from 127.0.0.1:${receiver.port}: "upstream"`,
    })
    expect(await read()).toMatchObject({ 'kest.audit.export.failures': 1 })
    receiver.answer = () => ({ status: 200 })
    await telemetry.shutdown()
  })

  it.each([
    [429, (): string => '2'],
    [503, (): string => new Date(Date.now() + 3_000).toUTCString()],
  ])('that answers %d is left alone for as long as it asks', async (status, retryAfter) => {
    const receiver = await Receiver.listen()
    const times: number[] = []
    receiver.answer = () => {
      times.push(performance.now())
      return times.length > 1 ? { status: 200 } : { status, headers: { 'retry-after': retryAfter() } }
    }
    const { telemetry, kest } = setUp({ endpoint: receiver.origin, timeoutMs: 60_000 })
    await kest.begin(root)
    await expect.poll(() => times.length).toBe(1)
    // Neither what comes meanwhile nor a flush that has the time comes before.
    for (let n = 0; n < 600; n += 1) await kest.begin(root)
    await telemetry.forceFlush()
    // A date has no parts of a second. Without being asked it would come again after 0.3 s.
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThan(1_900)
    await telemetry.shutdown()
  })

  it('that asks to be left alone for longer than a flush may take is asked within it', async () => {
    const receiver = await Receiver.listen()
    receiver.answer = () => ({ status: 503, headers: { 'retry-after': '3600' } })
    const { telemetry, kest, logger } = setUp({ endpoint: receiver.origin, timeoutMs: 60_000 })
    await kest.begin(root)
    await expect.poll(() => logger.records.length).toBe(1)
    receiver.answer = () => ({ status: 200 })
    await telemetry.shutdown()
    expect(telemetry.counts.exported).toBe(1)
  })

  it('that closes an idle connection as it is used is asked again at once, on a new one', async () => {
    const answers: string[] = []
    const ok = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}'
    const server = createServer((socket) => {
      let requests = 0
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        if (!chunk.includes('POST ')) return
        requests += 1
        // The second request of a connection finds it closed.
        if (requests === 2) return socket.resetAndDestroy()
        answers.push('answered')
        return socket.write(ok)
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { telemetry, kest, logger } = setUp({ endpoint })
    for (let n = 0; n < 3; n += 1) {
      await kest.begin(root)
      await telemetry.forceFlush()
    }
    await telemetry.shutdown()
    expect(answers).toHaveLength(3)
    expect(logger.records).toEqual([])
  })

  it('behind a proxy that takes no large messages is sent smaller ones; a span too large for it is lost alone', async () => {
    const receiver = await Receiver.listen()
    receiver.answer = ({ body }) =>
      body.length > 12_000 ? { status: 413, body: '<html>nginx</html>' } : { status: 200 }
    const { telemetry, kest, logger } = setUp({ endpoint: receiver.origin, exportDelayMs: 10_000 })
    for (let n = 0; n < 30; n += 1) {
      await kest.begin({ ...root, operation: n === 7 ? 'x'.repeat(4_000) : 'fine' })
    }
    await telemetry.forceFlush()
    expect(telemetry.counts).toMatchObject({ exported: 29, dropped: { refused: 1 } })
    expect(logger.records[0]?.details).toMatchObject({
      lost: { refused: 1 },
      err: expect.stringMatching(/^HTTP 413 Payload Too Large from .*nginx.*, for \d+ bytes$/),
    })
    await telemetry.shutdown()
  })

  it('that hangs costs operations nothing with ‘drop’, and refuses them with ‘deny’', async () => {
    const receiver = await Receiver.listen()
    receiver.answer = () => null
    const [dropping, denying] = (['drop', 'deny'] as const).map((onOverflow) =>
      setUp({ endpoint: receiver.origin, onOverflow, queueSize: 4, flushTimeoutMs: 50 }),
    )
    for (let n = 0; n < 10; n += 1) await dropping?.kest.begin(root)
    expect(dropping?.telemetry.counts.dropped.overflow).toBe(6)
    for (let n = 0; n < 4; n += 1) await denying?.kest.begin(root)
    await expect(denying?.kest.begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_AUDIT_UNAVAILABLE' })
    expect(denying?.telemetry.counts.dropped.overflow).toBe(0)
    await Promise.allSettled([dropping?.telemetry.shutdown(), denying?.telemetry.shutdown()])
    expect(denying?.telemetry.counts.dropped.shutdown).toBe(4)
  })

  it('that refuses one span loses that one, and takes the others', async () => {
    const receiver = await Receiver.listen()
    receiver.answer = ({ body }) =>
      body.includes('"poison"') ? { status: 400, body: '{"code":3,"message":"bad value"}' } : { status: 200 }
    const { telemetry, kest, logger } = setUp({ endpoint: receiver.origin, exportDelayMs: 10_000 })
    for (let n = 0; n < 9; n += 1) await kest.begin({ ...root, operation: n === 5 ? 'poison' : 'fine' })
    await expect(telemetry.forceFlush()).resolves.toBeUndefined()
    expect(telemetry.counts).toMatchObject({ accepted: 9, exported: 8, dropped: { refused: 1 } })
    expect(logger.records).toMatchObject(
      [
        {
          level: 'error',
          message: 'audit spans were lost',
          details: { lost: { refused: 1 }, err: /400.*bad value/ },
        },
      ].map((record) => ({
        ...record,
        details: { ...record.details, err: expect.stringMatching(record.details.err) },
      })),
    )
    await telemetry.shutdown()
  })

  it.each<[string, 'http/json' | 'http/protobuf', string]>([
    ['as a Collector does', 'http/json', '{"partialSuccess":{}}'],
    ['as a Collector does', 'http/protobuf', ''],
    ['with nothing', 'http/json', ''],
    ['in JSON', 'http/protobuf', '{}'],
  ])('that answers %s to %s has taken the spans', async (_, protocol, body) => {
    const receiver = await Receiver.listen()
    receiver.answer = () => ({ status: 200, body })
    const { telemetry, kest, logger } = setUp({ endpoint: receiver.origin, protocol })
    await kest.begin(root)
    await telemetry.shutdown()
    expect(telemetry.counts.exported).toBe(1)
    expect([receiver.received.length, logger.records]).toEqual([1, []])
  })

  it('that says it took only some is believed', async () => {
    const receiver = await Receiver.listen()
    receiver.answer = () => ({
      status: 200,
      body: '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"quota"}}',
    })
    const { telemetry, kest, logger } = setUp({ endpoint: receiver.origin, exportDelayMs: 10_000 })
    for (let n = 0; n < 5; n += 1) await kest.begin(root)
    await telemetry.forceFlush().catch(() => {})
    expect(receiver.received).toHaveLength(1)
    expect(telemetry.counts).toMatchObject({ exported: 3, dropped: { refused: 2 } })
    expect(logger.records[0]?.details).toMatchObject({
      lost: { refused: 2 },
      err: expect.stringMatching(/quota.*partial success/),
    })
    await telemetry.shutdown()
  })

  it('that refuses the record of an operation that waits for it refuses the operation', async () => {
    const receiver = await Receiver.listen()
    receiver.answer = () => ({ status: 400, body: '{"code":3,"message":"bad"}' })
    const { telemetry, kest } = setUp({ endpoint: receiver.origin, confirm: true, waitTimeoutMs: 60_000 })
    await expect(kest.begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_AUDIT_UNAVAILABLE' })
    await telemetry.shutdown()
  })
})
