import { createKest, createKeySource, Passport, verifyPassport } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { context, metrics, propagation, trace } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import {
  AlwaysOffSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { temporaryFolder } from '../../tests/support/folder.js'
import { kestWith, refused, root } from '../../tests/support/kest.js'
import { signaturesOf, spansIn } from '../../tests/support/spans.js'
import type { TelemetryOptions } from './options.js'
import { setupTelemetry } from './setup-telemetry.js'

afterEach(() => {
  vi.unstubAllEnvs()
  trace.disable()
  context.disable()
  propagation.disable()
})

const identity = new MockIdentityProvider('spiffe://telemetry.test/orders')
const trust = createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })

describe('setupTelemetry', () => {
  it('F-TE-03 NF-OBS-02 brings the spans of a named service to a folder', async () => {
    const endpoint = temporaryFolder()
    const telemetry = setupTelemetry({ serviceName: 'orders', exporter: 'file', endpoint })
    const kest = kestWith(telemetry)
    const { entry } = await kest.begin(root)
    await expect(kest.begin(refused)).rejects.toThrow()
    await telemetry.shutdown()
    const spans = spansIn(endpoint)
    expect(spans.map(({ service, name }) => [service, name])).toEqual([
      ['orders', 'kest.verified.orders.read'],
      ['orders', 'kest.verified.orders.read'],
    ])
    expect(signaturesOf(spans)).toEqual([entry.jws])
    expect(telemetry.counts).toMatchObject({ accepted: 2, exported: 2 })
  })

  it('F-TE-03 takes an exporter of one’s own', async () => {
    const exporter = new InMemorySpanExporter()
    const telemetry = setupTelemetry({ serviceName: 'orders', exporter })
    await kestWith(telemetry).begin(root)
    await telemetry.forceFlush()
    expect(exporter.getFinishedSpans()).toHaveLength(1)
    await telemetry.shutdown()
  })

  it.each([
    ['what is stated', { serviceName: 'stated' }, 'stated'],
    ['OTEL_SERVICE_NAME', {}, 'by-name'],
  ])('NF-OBS-02 names the service by %s', async (_, options, expected) => {
    vi.stubEnv('OTEL_SERVICE_NAME', 'by-name')
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'service.name=by-attribute,deployment.environment.name=a%20b')
    const exporter = new InMemorySpanExporter()
    const telemetry = setupTelemetry({ ...options, exporter, resource: { zone: 'z' } })
    await kestWith(telemetry).begin(root)
    await telemetry.forceFlush()
    expect(exporter.getFinishedSpans()[0]?.resource.attributes).toMatchObject({
      'service.name': expected,
      'deployment.environment.name': 'a b',
      zone: 'z',
    })
    await telemetry.shutdown()
  })

  it('cuts and samples nothing, whatever the environment says of spans', async () => {
    vi.stubEnv('OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT', '16')
    vi.stubEnv('OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', '16')
    vi.stubEnv('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', '2')
    vi.stubEnv('OTEL_ATTRIBUTE_COUNT_LIMIT', '2')
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'always_off')
    const endpoint = temporaryFolder()
    const telemetry = setupTelemetry({ serviceName: 'orders', exporter: 'file', endpoint })
    await kestWith(telemetry).begin(root)
    await telemetry.shutdown()
    const [span] = spansIn(endpoint)
    const passport = new Passport(JSON.parse(span?.attributes['kest.passport'] as string))
    expect(passport.entries).toEqual([span?.attributes['kest.signature']])
    await expect(verifyPassport(passport, { trust })).resolves.toBeDefined()
    expect(Object.keys(span?.attributes ?? {})).toHaveLength(10)
  })

  it('the same limits would cut a signature without a provider of its own', async () => {
    vi.stubEnv('OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT', '16')
    const exporter = new InMemorySpanExporter()
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    await kestWith({ tracerProvider }).begin(root)
    expect(exporter.getFinishedSpans()[0]?.attributes['kest.signature']).toHaveLength(16)
  })

  it.each<[string, object, RegExp]>([
    ['a signal in small letters', { flushOn: ['sigterm'] }, /flushOn: "sigterm"/],
    ['a signal that nobody can listen to', { flushOn: ['SIGKILL'] }, /flushOn: "SIGKILL"/],
    ['a signal alone', { flushOn: 'SIGTERM' }, /flushOn: expected a list/],
    ['a word for no', { confirm: 'no' }, /confirm: expected true or false/],
    ['a word for false', { passport: 'false' }, /passport: expected true or false/],
    ['a logger that logs nothing', { logger: {} }, /logger: expected/],
    ['headers that are none', { headers: 1 }, /headers: expected/],
  ])('refuses %s', (_, options, message) => {
    expect(() => setupTelemetry({ serviceName: 'orders', ...options } as never)).toThrow(message)
  })

  it('registers nothing global, and listens to no signal, unless asked', async () => {
    const before = globals()
    const telemetry = setupTelemetry({ serviceName: 'orders', exporter: 'file', endpoint: temporaryFolder() })
    await kestWith(telemetry).begin(root)
    expect(globals()).toEqual(before)
    await telemetry.shutdown()
  })

  it('works beside an SDK that the application has and that samples nothing', async () => {
    const theirs = new InMemorySpanExporter()
    const sdk = new NodeTracerProvider({
      sampler: new AlwaysOffSampler(),
      spanProcessors: [new SimpleSpanProcessor(theirs)],
    })
    sdk.register()
    const endpoint = temporaryFolder()
    const telemetry = setupTelemetry({ serviceName: 'orders', exporter: 'file', endpoint })
    const traceId = await sdk.getTracer('app').startActiveSpan('request', async (span) => {
      await kestWith(telemetry).begin(root)
      span.end()
      return span.spanContext().traceId
    })
    await telemetry.shutdown()
    expect(spansIn(endpoint).map((span) => span.traceId)).toEqual([traceId])
    expect(theirs.getFinishedSpans()).toEqual([])
  })

  it('K-AUDIT records also where tracing is suppressed, in the trace that is there', async () => {
    const sdk = new NodeTracerProvider()
    sdk.register()
    const endpoint = temporaryFolder()
    const telemetry = setupTelemetry({ serviceName: 'orders', exporter: 'file', endpoint, confirm: true })
    const kest = kestWith(telemetry)
    const request = sdk.getTracer('app').startSpan('request')
    const ignored = suppressTracing(trace.setSpan(context.active(), request))
    await context.with(ignored, () => kest.begin(root))
    await context.with(ignored, () =>
      telemetry.tracerProvider.getTracer('kest.core').startActiveSpan('active', async (span) => span.end()),
    )
    await telemetry.shutdown()
    const { traceId } = request.spanContext()
    expect(spansIn(endpoint).map((span) => span.traceId)).toEqual([traceId, traceId])
  })

  it('as a span processor, takes Kest’s spans out of those of another SDK', async () => {
    const endpoint = temporaryFolder()
    const telemetry = setupTelemetry({ serviceName: 'orders', exporter: 'file', endpoint })
    const sdk = new NodeTracerProvider({ spanProcessors: [telemetry.spanProcessor] })
    sdk.getTracer('app').startSpan('request').end()
    await kestWith({ tracerProvider: sdk }).begin(root)
    await sdk.shutdown()
    expect(spansIn(endpoint).map(({ name }) => name)).toEqual(['kest.verified.orders.read'])
  })

  it('says that OTEL_SDK_DISABLED does not switch it off', async () => {
    vi.stubEnv('OTEL_SDK_DISABLED', 'true')
    const logger = new RecordingLogger()
    const endpoint = temporaryFolder()
    const telemetry = setupTelemetry({ serviceName: 'orders', exporter: 'file', endpoint, logger })
    await kestWith(telemetry).begin(root)
    await telemetry.shutdown()
    expect(spansIn(endpoint)).toHaveLength(1)
    expect(logger.records.map(({ message }) => message)).toEqual([
      expect.stringContaining('OTEL_SDK_DISABLED'),
    ])
  })

  it.each<[string, TelemetryOptions, RegExp]>([
    ['nobody’s name', { exporter: 'console' }, /serviceName/],
    ['an unknown option', { path: 'x' } as never, /unknown option "path"/],
    [
      'an unknown exporter',
      { exporter: 'zipkin' as never },
      /exporter: expected otlp, file, sqlite, console/,
    ],
    ['an exporter that is none', { exporter: {} as never }, /exporter: .*export\(\)/],
    ['a file exporter without a folder', { exporter: 'file' }, /endpoint: expected a folder/],
    ['a folder that cannot be', { exporter: 'file', endpoint: '/dev/null/x' }, /endpoint: the folder/],
    ['a SQLite file that cannot be', { exporter: 'sqlite', endpoint: '/dev/null/x' }, /endpoint: /],
    ['an endpoint that is no URL', { endpoint: 'localhost:4318' }, /endpoint: expected a URL/],
    [
      'another exporter’s option',
      { exporter: 'file', endpoint: 'x', headers: {} },
      /headers: not an option of file/,
    ],
    ['an unknown protocol', { protocol: 'grpc' as never }, /protocol: expected/],
    ['an unknown policy', { exporter: 'file', endpoint: 'x', fsync: 'often' as never }, /fsync: expected/],
    ['a queue of nothing', { queueSize: 0 }, /queueSize: expected/],
    ['a time-out that overflows', { waitTimeoutMs: 2 ** 31 }, /waitTimeoutMs: expected/],
    ['a contradiction', { confirm: true, onOverflow: 'drop' }, /confirm: /],
  ])('refuses %s', (_, options, message) => {
    const named = message.source === 'serviceName' ? options : { serviceName: 'orders', ...options }
    expect(() => setupTelemetry(named)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    expect(() => setupTelemetry(named)).toThrow(message)
  })

  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'ftp://x'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', 'abc'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '0'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '9999999999'],
    ['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', '-1'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'no equals sign'],
  ])('refuses to guess what %s=%s means', (name, value) => {
    vi.stubEnv(name, value)
    expect(() => setupTelemetry({ serviceName: 'orders' })).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
    )
  })
})

describe('an audit trail that may refuse operations', () => {
  it('is taken whole: without it, its tracer provider would lose records in silence', async () => {
    const telemetry = setupTelemetry({ serviceName: 'orders', exporter: 'console', onOverflow: 'deny' })
    const { tracerProvider } = telemetry
    expect(() => createKest({ telemetry: { tracerProvider } })).toThrow('telemetry.auditTrail: required')
    await createKest({ telemetry }).close()
    await createKest({ telemetry: { tracerProvider, auditTrail: telemetry.auditTrail } }).close()
    await telemetry.shutdown()

    const dropping = setupTelemetry({ serviceName: 'orders', exporter: 'console', onOverflow: 'drop' })
    await createKest({ telemetry: { tracerProvider: dropping.tracerProvider } }).close()
    await dropping.shutdown()
  })
})

function globals(): unknown[] {
  return [
    trace.getTracerProvider(),
    metrics.getMeterProvider(),
    ...['SIGTERM', 'SIGINT', 'exit', 'beforeExit', 'uncaughtException'].map((name) =>
      process.listenerCount(name),
    ),
  ]
}
