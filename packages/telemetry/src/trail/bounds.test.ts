import { join } from 'node:path'
import { RecordingLogger } from '@kest/core/testing'
import type { Tracer } from '@opentelemetry/api'
import { context, TraceFlags, trace } from '@opentelemetry/api'
import { describe, expect, it } from 'vitest'
import { HeldExporter } from '../../tests/support/exporter.js'
import { temporaryFolder } from '../../tests/support/folder.js'
import { kestWith, refused, root, signingBy } from '../../tests/support/kest.js'
import { readableMetrics } from '../../tests/support/metrics.js'
import { Receiver } from '../../tests/support/receiver.js'
import type { TelemetryOptions } from '../setup/options.js'
import { setupTelemetry } from '../setup/setup-telemetry.js'
import type { ExportResult, ReadableSpan } from '../spans/readable-span.js'

const MEGABYTE = 'x'.repeat(1_000_000)

function setUp(options: TelemetryOptions = {}) {
  const logger = new RecordingLogger()
  const telemetry = setupTelemetry({
    serviceName: 'orders',
    logger,
    exportDelayMs: 0,
    flushTimeoutMs: 60_000,
    ...options,
  })
  const tracer: Tracer = telemetry.tracerProvider.getTracer('kest.core')
  return { logger, telemetry, tracer, kest: kestWith(telemetry) }
}

function largeSpans(tracer: Tracer, count: number): void {
  for (let n = 0; n < count; n += 1) tracer.startSpan('kest.verified.x').setAttribute('x', MEGABYTE).end()
}

/** One that no serializer can write, as a text of half a gigabyte would be. */
function unwritableSpan(tracer: Tracer): void {
  const traceState = {
    serialize: () => {
      throw new RangeError('Invalid string length')
    },
  }
  const parent = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    traceFlags: TraceFlags.SAMPLED,
    traceState: traceState as never,
  }
  tracer.startSpan('kest.verified.x', {}, trace.setSpanContext(context.active(), parent)).end()
}

async function destinations(): Promise<[string, TelemetryOptions][]> {
  const receiver = await Receiver.listen()
  return [
    ['files', { exporter: 'file', endpoint: temporaryFolder() }],
    ['SQLite', { exporter: 'sqlite', endpoint: join(temporaryFolder(), 'audit.db') }],
    ['OTLP/JSON', { endpoint: receiver.origin }],
    ['OTLP in protobuf', { endpoint: receiver.origin, protocol: 'http/protobuf' }],
  ]
}

describe('what is too large', () => {
  it('one span that cannot be written is lost alone, and said to be, wherever it goes', async () => {
    for (const [name, options] of await destinations()) {
      const { telemetry, tracer, kest, logger } = setUp({ ...options, exportDelayMs: 10_000 })
      for (let n = 0; n < 5; n += 1) await kest.begin(root)
      unwritableSpan(tracer)
      for (let n = 0; n < 5; n += 1) await kest.begin(root)
      await telemetry.forceFlush()
      expect([name, telemetry.counts]).toEqual([
        name,
        expect.objectContaining({ exported: 10, dropped: expect.objectContaining({ unwritable: 1 }) }),
      ])
      expect(logger.records).toEqual([
        expect.objectContaining({
          level: 'error',
          message: 'audit spans were lost',
          details: expect.objectContaining({
            lost: { unwritable: 1 },
            err: 'cannot be written: Invalid string length',
          }),
        }),
      ])
      await telemetry.shutdown()
    }
  })

  it('a batch that an exporter cannot write is halved until it can', async () => {
    const sizes: number[] = []
    const exporter = {
      export: (spans: ReadableSpan[], done: (result: ExportResult) => void) => {
        if (spans.length > 3) throw new RangeError('Invalid string length')
        sizes.push(spans.length)
        done({ code: 0 })
      },
      shutdown: async () => {},
    }
    const { telemetry, kest } = setUp({ exporter, exportDelayMs: 10_000 })
    for (let n = 0; n < 11; n += 1) await kest.begin(root)
    await telemetry.forceFlush()
    expect(sizes.reduce((sum, size) => sum + size)).toBe(11)
    expect(telemetry.counts).toMatchObject({ exported: 11, dropped: { unwritable: 0 } })
    await telemetry.shutdown()
  })

  it('520 spans of 1 MB block nothing: what the queue does not hold is lost, and what comes after is kept', async () => {
    for (const [name, options] of (await destinations()).slice(0, 2)) {
      const { telemetry, tracer, kest } = setUp(options)
      largeSpans(tracer, 520)
      await telemetry.forceFlush()
      for (let n = 0; n < 10; n += 1) await kest.begin(root)
      await telemetry.forceFlush()
      const { accepted, exported, dropped } = telemetry.counts
      expect([name, accepted, exported, dropped.overflow]).toEqual([name, 43, 43, 487])
      await telemetry.shutdown()
    }
  })
})

describe('the queue in bytes', () => {
  it('is bounded, and measured', async () => {
    const exporter = new HeldExporter()
    const { meterProvider, read } = readableMetrics()
    const { telemetry, tracer } = setUp({ exporter, queueBytes: 5_000_000, meterProvider })
    largeSpans(tracer, 10)
    expect(telemetry.counts).toMatchObject({ accepted: 4, dropped: { overflow: 6 } })
    const { 'kest.audit.queue.bytes': bytes, 'kest.audit.queue.capacity_bytes': capacity } = await read()
    expect(capacity).toBe(5_000_000)
    expect(bytes).toBeGreaterThan(4_000_000)
    expect(bytes).toBeLessThan(4_100_000)
    exporter.open()
    await telemetry.shutdown()
    expect(await read()).toMatchObject({ 'kest.audit.queue.bytes': 0 })
  })

  it('takes one span that is larger than all of it, and goes on', async () => {
    const exporter = new HeldExporter()
    const { telemetry, tracer } = setUp({ exporter, queueBytes: 1_000 })
    largeSpans(tracer, 2)
    expect(telemetry.counts).toMatchObject({ accepted: 1, dropped: { overflow: 1 } })
    exporter.open()
    await telemetry.forceFlush()
    largeSpans(tracer, 1)
    await telemetry.shutdown()
    expect(telemetry.counts).toMatchObject({ accepted: 2, exported: 2 })
  })

  it('is filled by denials to no more than half', async () => {
    const exporter = new HeldExporter()
    const { telemetry, kest } = setUp({ exporter, queueBytes: 100_000 })
    const long = { ...refused, operation: 'x'.repeat(10_000) }
    for (let n = 0; n < 20; n += 1) await expect(kest.begin(long)).rejects.toThrow()
    expect(telemetry.counts.accepted).toBeLessThan(5)
    for (let n = 0; n < 10; n += 1) await kest.begin(root)
    expect(telemetry.counts.dropped.overflow).toBe(0)
    exporter.open()
    await telemetry.shutdown()
  })

  it('makes operations wait, or refuses them before anything is signed', async () => {
    const exporter = new HeldExporter()
    const { telemetry, tracer, kest } = setUp({ exporter, queueBytes: 1_000_000, onOverflow: 'deny' })
    largeSpans(tracer, 1)
    let signed = false
    const identity = signingBy((sign) => (input) => {
      signed = true
      return sign(input)
    })
    await expect(kest.begin({ ...root, identity })).rejects.toMatchObject({
      code: 'ERR_KEST_AUDIT_UNAVAILABLE',
    })
    expect(signed).toBe(false)
    exporter.open()
    await telemetry.forceFlush()
    await expect(kest.begin({ ...root, identity })).resolves.toBeDefined()
    await telemetry.shutdown()
  })

  it('keeps the record for which room was reserved, whatever came meanwhile', async () => {
    const exporter = new HeldExporter()
    const { telemetry, tracer, kest } = setUp({ exporter, queueBytes: 1_000_000, onOverflow: 'deny' })
    const identity = signingBy((sign) => async (input) => {
      largeSpans(tracer, 1)
      await new Promise(setImmediate)
      return sign(input)
    })
    await expect(kest.begin({ ...root, identity })).resolves.toBeDefined()
    expect(telemetry.counts).toMatchObject({ accepted: 2, dropped: { overflow: 0 } })
    exporter.open()
    await telemetry.shutdown()
  })

  it('goes out in batches of bounded size; a larger span goes alone', async () => {
    const exporter = new HeldExporter()
    exporter.open()
    const { telemetry, tracer, kest } = setUp({ exporter, batchBytes: 2_500_000, exportDelayMs: 10_000 })
    for (let n = 0; n < 3; n += 1) await kest.begin(root)
    largeSpans(tracer, 3)
    tracer.startSpan('kest.verified.x').setAttribute('x', MEGABYTE.repeat(3)).end()
    for (let n = 0; n < 2; n += 1) await kest.begin(root)
    await telemetry.forceFlush()
    expect(exporter.batches.map(({ length }) => length)).toEqual([5, 1, 1, 2])
    await telemetry.shutdown()
  })
})
