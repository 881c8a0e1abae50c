import assert from 'node:assert'
import { AsyncLocalStorage } from 'node:async_hooks'
import { isPromise } from 'node:util/types'
import type { KestError } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { context, type Tracer } from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { HeldExporter } from '../../tests/support/exporter.js'
import { kestWith, refused, root, signingBy } from '../../tests/support/kest.js'
import { readableMetrics } from '../../tests/support/metrics.js'
import type { TelemetryOptions } from '../setup/options.js'
import { setupTelemetry } from '../setup/setup-telemetry.js'

const unavailable = expect.objectContaining({ code: 'ERR_KEST_AUDIT_UNAVAILABLE', statusCode: 503 })

function setUp(options: TelemetryOptions = {}) {
  const exporter = new HeldExporter()
  const logger = new RecordingLogger()
  const { meterProvider, read } = readableMetrics()
  const telemetry = setupTelemetry({
    serviceName: 'orders',
    exporter,
    logger,
    meterProvider,
    exportDelayMs: 0,
    flushTimeoutMs: 60_000,
    ...options,
  })
  const kest = kestWith(telemetry)
  return { exporter, logger, telemetry, kest, metrics: read }
}

/** Fills the queue of two, the exporter holding it. */
async function fill({ kest, exporter }: ReturnType<typeof setUp>): Promise<void> {
  await kest.begin(root)
  await kest.begin(root)
  await expect.poll(() => exporter.underWay).toBe(1)
}

/** Whether a promise has settled, without waiting for it. */
function watch(promise: Promise<unknown>): { state: 'waiting' | 'done' | string } {
  const seen = { state: 'waiting' }
  promise.then(
    () => (seen.state = 'done'),
    (error: KestError) => (seen.state = error.code),
  )
  return seen
}

describe("onOverflow: 'drop'", () => {
  it('has no say in what runs: begin asks nothing and waits for nothing', () => {
    const { telemetry } = setUp()
    expect(telemetry.auditTrail).toBeUndefined()
  })

  it('takes a span, or drops it, without exporting, waiting or throwing in between', async () => {
    const it = setUp({ queueSize: 3, batchSize: 1 })
    const tracer: Tracer = it.telemetry.tracerProvider.getTracer('kest.core')
    const answers = Array.from({ length: 10 }, () => tracer.startSpan('kest.verified.x').end() as unknown)
    expect(answers).toEqual(Array(10).fill(undefined))
    expect(it.exporter.batches).toEqual([])
    expect(it.telemetry.counts).toMatchObject({ accepted: 3, dropped: { overflow: 7 } })
  })

  it('counts what it drops, says so at once, and then in measured steps', async () => {
    const it = setUp({ queueSize: 2 })
    await fill(it)
    for (let n = 0; n < 50; n += 1) await it.kest.begin(root)
    expect(it.telemetry.counts).toEqual({
      accepted: 2,
      exported: 0,
      dropped: { overflow: 50, denial: 0, refused: 0, unwritable: 0, shutdown: 0 },
    })
    expect(it.logger.records).toEqual([
      {
        level: 'error',
        message: 'audit spans were lost',
        details: { destination: 'HeldExporter', lost: { overflow: 1 }, lost_in_all: 1 },
      },
    ])
    expect(await it.metrics()).toEqual({
      'kest.audit.spans.accepted': 2,
      'kest.audit.spans.dropped{overflow}': 50,
      'kest.audit.queue.size': 2,
      'kest.audit.queue.capacity': 2,
      'kest.audit.queue.bytes': expect.any(Number),
      'kest.audit.queue.capacity_bytes': 33_554_432,
    })
    it.exporter.open()
    await it.telemetry.shutdown()
    expect(it.logger.records.at(-1)?.details).toMatchObject({ lost: { overflow: 49 }, lost_in_all: 50 })
    expect(it.telemetry.counts.exported).toBe(2)
  })
})

describe("onOverflow: 'deny'", () => {
  it('refuses what would have no room, before anything is signed', async () => {
    const it = setUp({ onOverflow: 'deny', queueSize: 2 })
    await fill(it)
    const sign = vi.fn()
    await expect(it.kest.begin({ ...root, identity: signingBy(() => sign) })).rejects.toEqual(unavailable)
    expect(sign).not.toHaveBeenCalled()
    expect(it.telemetry.counts.dropped).toMatchObject({ overflow: 0, denial: 1 })
  })

  it('lets operations run again when there is room', async () => {
    const it = setUp({ onOverflow: 'deny', queueSize: 2 })
    await fill(it)
    await expect(it.kest.begin(root)).rejects.toEqual(unavailable)
    it.exporter.open()
    await it.telemetry.forceFlush()
    await expect(it.kest.begin(root)).resolves.toBeDefined()
  })

  it('reserves room for an operation whose signature takes a while', async () => {
    const it = setUp({ onOverflow: 'deny', queueSize: 1 })
    let finish = () => {}
    const identity = signingBy((sign) => async (input) => {
      await new Promise<void>((resolve) => (finish = resolve))
      return sign(input)
    })
    const slow = it.kest.begin({ ...root, identity })
    await new Promise(setImmediate)
    await expect(it.kest.begin(root)).rejects.toEqual(unavailable)
    await expect(it.kest.begin(refused)).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
    finish()
    await slow
    expect(it.telemetry.counts).toMatchObject({ accepted: 1, dropped: { overflow: 0, denial: 2 } })
  })

  it('gives room back that a failing signature leaves', async () => {
    const it = setUp({ onOverflow: 'deny', queueSize: 1 })
    const failing = [() => Promise.reject(new Error('HSM')), () => assert.fail('HSM')].map((sign) =>
      signingBy(() => sign),
    )
    for (let n = 0; n < 3; n += 1) {
      for (const identity of failing) {
        await expect(it.kest.begin({ ...root, identity })).rejects.toMatchObject({
          code: 'ERR_KEST_IDENTITY',
        })
      }
    }
    it.exporter.open()
    await it.telemetry.forceFlush()
    await expect(it.kest.begin(root)).resolves.toBeDefined()
  })
})

it('K-DENIAL denials that are not signed fill no more than a quarter of the queue, and push out none that are', async () => {
  const { kest, telemetry } = setUp({ queueSize: 400 })
  const unsigned = kestWith(telemetry, { denials: 'unsigned' })
  for (let n = 0; n < 300; n += 1) await expect(unsigned.begin(refused)).rejects.toThrow()
  expect(telemetry.counts).toMatchObject({ accepted: 100, dropped: { denial: 200 } })
  for (let n = 0; n < 50; n += 1) await expect(kest.begin(refused)).rejects.toThrow()
  expect(telemetry.counts).toMatchObject({ accepted: 150, dropped: { denial: 200 } })
})

it('denials fill no more than half of the queue', async () => {
  const { kest, telemetry } = setUp({ queueSize: 10 })
  for (let n = 0; n < 20; n += 1) await expect(kest.begin(refused)).rejects.toThrow()
  for (let n = 0; n < 5; n += 1) await kest.begin(root)
  expect(telemetry.counts).toMatchObject({ accepted: 10, dropped: { overflow: 0, denial: 15 } })
})

describe("onOverflow: 'wait'", () => {
  it('waits for room, in turn', async () => {
    const it = setUp({ onOverflow: 'wait', queueSize: 2, batchSize: 1, waitTimeoutMs: 60_000 })
    await fill(it)
    const order: number[] = []
    const waiting = [1, 2, 3].map((n) => it.kest.begin(root).then(() => order.push(n)))
    await new Promise(setImmediate)
    expect(order).toEqual([])
    it.exporter.succeed()
    await expect.poll(() => order).toEqual([1])
    it.exporter.open()
    await Promise.all(waiting)
    expect(order).toEqual([1, 2, 3])
    expect(it.telemetry.counts.dropped.overflow).toBe(0)
  })

  it('refuses when there is none in time', async () => {
    const it = setUp({ onOverflow: 'wait', queueSize: 2, waitTimeoutMs: 20 })
    await fill(it)
    await expect(it.kest.begin(root)).rejects.toEqual(unavailable)
  })

  it('does not wait for a caller who has left', async () => {
    const it = setUp({ onOverflow: 'wait', queueSize: 2, waitTimeoutMs: 2 ** 30 })
    await fill(it)
    const caller = new AbortController()
    const operation = it.kest.begin(root, { signal: caller.signal })
    await new Promise(setImmediate)
    caller.abort()
    await expect(operation).rejects.toMatchObject({ code: 'ERR_KEST_ABORTED' })
    // And leaves no place taken behind.
    it.exporter.open()
    await it.telemetry.forceFlush()
    await Promise.all([it.kest.begin(root), it.kest.begin(root)])
  })

  it('refuses those who wait when it is shut down', async () => {
    const it = setUp({ onOverflow: 'wait', queueSize: 2, waitTimeoutMs: 2 ** 30 })
    await fill(it)
    const operation = it.kest.begin(root)
    await new Promise(setImmediate)
    it.exporter.open()
    await it.telemetry.shutdown()
    await expect(operation).rejects.toEqual(unavailable)
    await expect(it.kest.begin(root)).rejects.toEqual(unavailable)
  })
})

describe('confirm', () => {
  it('lets an operation run when its record is exported, and shares an export among those who wait', async () => {
    const it = setUp({ confirm: true, waitTimeoutMs: 60_000 })
    const first = watch(it.kest.begin(root))
    await expect.poll(() => it.exporter.underWay).toBe(1)
    const others = Array.from({ length: 20 }, () => watch(it.kest.begin(root)))
    await new Promise(setImmediate)
    it.exporter.succeed()
    await expect.poll(() => first.state).toBe('done')
    await expect.poll(() => it.exporter.underWay).toBe(1)
    expect(others.map(({ state }) => state)).toEqual(Array(20).fill('waiting'))
    it.exporter.succeed()
    await expect.poll(() => others.map(({ state }) => state)).toEqual(Array(20).fill('done'))
    expect(it.exporter.batches.map(({ length }) => length)).toEqual([1, 20])
  })

  it('refuses what is not exported in time, though its record may still be', async () => {
    const it = setUp({ confirm: true, waitTimeoutMs: 20 })
    await expect(it.kest.begin(root)).rejects.toEqual(unavailable)
    it.exporter.open()
    await it.telemetry.forceFlush()
    expect(it.telemetry.counts).toMatchObject({ accepted: 1, exported: 1 })
  })

  it('does not run the operation of a caller who left while it was written', async () => {
    const it = setUp({ confirm: true, waitTimeoutMs: 2 ** 30 })
    const caller = new AbortController()
    const operation = it.kest.begin(root, { signal: caller.signal })
    await expect.poll(() => it.exporter.underWay).toBe(1)
    caller.abort()
    await expect(operation).rejects.toMatchObject({ code: 'ERR_KEST_ABORTED' })
  })

  it('does not believe a record safe that went elsewhere', async () => {
    const { telemetry } = setUp({ confirm: true })
    const kest = kestWith({ auditTrail: telemetry.auditTrail, tracerProvider: new NodeTracerProvider() })
    await expect(kest.begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    await expect(kestWith({ auditTrail: telemetry.auditTrail }).begin(root)).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
    })
  })
})

describe('a destination that fails', () => {
  it('is tried again until it takes the spans, in order; the operator is told once, and when it is over', async () => {
    const it = setUp()
    const hashes = [await it.kest.begin(root), await it.kest.begin(root)].map(({ entry }) => entry.hash)
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      await expect.poll(() => it.exporter.underWay).toBe(1)
      it.exporter.fail('down')
    }
    await expect.poll(() => it.exporter.batches.length).toBe(3)
    it.exporter.open()
    await it.telemetry.shutdown()
    expect(it.exporter.batches.at(-1)?.map(({ attributes }) => attributes['kest.chain_tip'])).toEqual(hashes)
    expect(it.logger.records.map(({ level, message }) => [level, message])).toEqual([
      ['error', 'audit spans cannot be exported; they are kept and tried again'],
      ['warn', 'audit spans are exported again'],
    ])
    expect(await it.metrics()).toMatchObject({
      'kest.audit.export.failures': 2,
      'kest.audit.spans.exported': 2,
    })
  })

  it('is tried again often while a flush waits, however long it has failed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const it = setUp()
    await it.kest.begin(root)
    await expect.poll(() => it.exporter.underWay).toBe(1)
    const ended = it.telemetry.shutdown()
    // Pauses that double would be of eight seconds by then.
    for (let attempt = 1; attempt <= 6; attempt += 1) {
      it.exporter.fail('down')
      await vi.advanceTimersByTimeAsync(500)
      await expect.poll(() => it.exporter.underWay).toBe(1)
    }
    it.exporter.open()
    await ended
    expect(it.telemetry.counts).toMatchObject({ exported: 1, dropped: { shutdown: 0 } })
  })

  it('is tried again within a second or so of when an operation waits for its record, however long it has failed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const it = setUp({ confirm: true, waitTimeoutMs: 5_000 })
    const first = watch(it.kest.begin(root))
    await expect.poll(() => it.exporter.underWay).toBe(1)
    for (let attempt = 1; attempt <= 7; attempt += 1) {
      it.exporter.fail('down')
      await vi.advanceTimersByTimeAsync(18_000)
      await expect.poll(() => it.exporter.underWay).toBe(1)
    }
    await expect.poll(() => first.state).toBe('ERR_KEST_AUDIT_UNAVAILABLE')
    it.exporter.fail('down')
    // Nobody waits: twelve seconds at least.
    await vi.advanceTimersByTimeAsync(4_000)
    expect(it.exporter.underWay).toBe(0)
    const second = watch(it.kest.begin(root))
    await expect.poll(() => it.telemetry.counts.accepted).toBe(2)
    await vi.advanceTimersByTimeAsync(1_200)
    await expect.poll(() => it.exporter.underWay).toBe(1)
    it.exporter.open()
    await expect.poll(() => second.state).toBe('done')
  })

  it('an exporter that throws is one that fails, and keeps no process up', async () => {
    const [setting, clearing] = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'clearTimeout')]
    onTestFinished(() => {
      setting.mockRestore()
      clearing.mockRestore()
    })
    /** How long an exporter may take. */
    const timeoutMs = 30_000
    const logger = new RecordingLogger()
    const exporter = {
      export: () => {
        throw new Error('bug')
      },
      shutdown: async () => {},
    }
    const telemetry = setupTelemetry({
      serviceName: 'x',
      exporter,
      logger,
      exportDelayMs: 0,
      flushTimeoutMs: 50,
    })
    await kestWith(telemetry).begin(root)
    await expect(telemetry.shutdown()).rejects.toEqual(unavailable)
    expect(logger.records.map(({ details }) => details['err'])).toContain('bug')
    const timers = setting.mock.results.filter((_, n) => setting.mock.calls[n]?.[1] === timeoutMs)
    expect(timers.length).toBeGreaterThan(0)
    for (const { value } of timers) expect(clearing).toHaveBeenCalledWith(value)
  })

  it('is tried again also where logger and meter throw; what was to be logged is on stderr', async () => {
    const throws = () => {
      throw new Error('the worker has exited')
    }
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    onTestFinished(() => stderr.mockRestore())
    const it = setUp({
      logger: { debug: throws, info: throws, warn: throws, error: throws },
      meterProvider: { getMeter: throws },
    })
    const kest = kestWith({ tracerProvider: it.telemetry.tracerProvider })
    await kest.begin(root)
    await expect.poll(() => it.exporter.underWay).toBe(1)
    it.exporter.fail('down')
    await expect.poll(() => it.exporter.underWay).toBe(1)
    it.exporter.open()
    await it.telemetry.forceFlush()
    await it.telemetry.shutdown()
    expect(it.telemetry.counts).toMatchObject({ accepted: 1, exported: 1 })
    expect(stderr.mock.calls.map(([line]) => JSON.parse(String(line)))).toMatchObject([
      { level: 'error', err: 'down', logger_err: 'Error: the worker has exited' },
      { level: 'warn', message: 'audit spans are exported again' },
    ])
  })

  it('at the end, what is left is lost, counted and reported, and shutdown says so', async () => {
    const it = setUp({ flushTimeoutMs: 20, confirm: true, waitTimeoutMs: 2 ** 30 })
    const waiting = watch(it.kest.begin(root))
    await expect.poll(() => it.exporter.underWay).toBe(1)
    await expect(it.telemetry.shutdown()).rejects.toEqual(unavailable)
    expect(waiting.state).toBe('ERR_KEST_AUDIT_UNAVAILABLE')
    expect(it.telemetry.counts.dropped.shutdown).toBe(1)
    expect(it.logger.records.at(-1)).toMatchObject({ level: 'error', details: { lost: { shutdown: 1 } } })
    // Too late to matter.
    it.exporter.succeed()
    await new Promise(setImmediate)
    expect(it.telemetry.counts).toMatchObject({ exported: 0, dropped: { shutdown: 1 } })
  })

  it('what ends after the end is lost, and reported at once: nobody waits for a later line', async () => {
    const it = setUp()
    await it.telemetry.shutdown()
    for (let n = 0; n < 3; n += 1) await it.kest.begin(root)
    expect(it.telemetry.counts.dropped.shutdown).toBe(3)
    expect(it.logger.records.map(({ message, details }) => [message, details['lost_in_all']])).toEqual(
      [1, 2, 3].map((lost) => ['audit spans were lost', lost]),
    )
  })

  it('losses that are not told yet are told at the exit, of which nothing else is listened to', async () => {
    const before = process.listeners('exit')
    const it = setUp({ queueSize: 2 })
    await fill(it)
    for (let n = 0; n < 3; n += 1) await it.kest.begin(root)
    const [atExit, ...others] = process.listeners('exit').filter((listener) => !before.includes(listener))
    expect(others).toEqual([])
    atExit?.(0)
    expect(it.logger.records.map(({ details }) => details['lost'])).toEqual([
      { overflow: 1 },
      { overflow: 2 },
    ])
    expect(process.listeners('exit')).toEqual(before)
    it.exporter.open()
    await it.telemetry.shutdown()
  })
})

describe('an export', () => {
  const sdk = new NodeTracerProvider()
  afterEach(() => context.disable())

  it('is not traced itself, and runs in no request’s context', async () => {
    sdk.register()
    const request = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    const exporter = new HeldExporter()
    exporter.open()
    const exporting = vi.spyOn(exporter, 'export')
    exporting.mockImplementation((_, done) => {
      seen.push(isTracingSuppressed(context.active()), request.getStore())
      done({ code: 0 })
    })
    const telemetry = setupTelemetry({ serviceName: 'x', exporter })
    await request.run('request', () => kestWith(telemetry).begin(root))
    await telemetry.shutdown()
    expect(seen).toEqual([true, undefined])
  })

  it('shutdown and flush are safe to repeat', async () => {
    const it = setUp()
    it.exporter.open()
    await it.telemetry.forceFlush()
    expect(isPromise(it.telemetry.shutdown())).toBe(true)
    await Promise.all([
      it.telemetry.shutdown(),
      it.telemetry.shutdown(),
      it.telemetry.spanProcessor.shutdown(),
    ])
  })
})
