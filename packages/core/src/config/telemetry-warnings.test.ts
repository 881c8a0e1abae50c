import { propagation, trace } from '@opentelemetry/api'
import { W3CBaggagePropagator } from '@opentelemetry/core'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  type Sampler,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { afterEach, expect, it } from 'vitest'
import { filterKestBaggage } from '../propagation/propagator.js'
import { bindAuditTrail } from '../telemetry/audit-trail.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { createKest } from './kest.js'
import type { KestOptions } from './options.js'

afterEach(() => {
  propagation.disable()
  trace.disable()
})

function warnings(options: KestOptions = {}): string[] {
  const logger = new RecordingLogger()
  createKest({ logger, ...options })
  return logger.records.map(({ level, message }) => `${level}: ${message}`)
}

const UNFILTERED = 'warn: the global propagator sends kest.* members on, to whomever the process calls'
const DROPS = 'warn: the sampler drops every span that begins here: audit spans are lost'

it('K-AMBIENT warns of a global propagator that sends kest.* on, and not of one that is filtered', () => {
  expect(warnings()).toEqual([])
  propagation.setGlobalPropagator(new W3CBaggagePropagator())
  expect(warnings()).toEqual([UNFILTERED])
  propagation.disable()
  propagation.setGlobalPropagator(filterKestBaggage(new W3CBaggagePropagator()))
  expect(warnings()).toEqual([])
})

it('K-AUDIT warns of a sampler that drops everything, of the given provider or the global one', () => {
  const exporter = new InMemorySpanExporter()
  const provider = (sampler: Sampler) =>
    new BasicTracerProvider({ sampler, spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const off = provider(new AlwaysOffSampler())
  expect(warnings({ telemetry: { tracerProvider: off } })).toEqual([DROPS])
  expect(warnings({ telemetry: { tracerProvider: provider(new AlwaysOnSampler()) } })).toEqual([])
  trace.setGlobalTracerProvider(off)
  expect(warnings()).toEqual([DROPS])
  bindAuditTrail(off, null)
  expect(warnings({ telemetry: { tracerProvider: off } })).toEqual([])
  expect(exporter.getFinishedSpans()).toEqual([])
})

it('says so where OpenTelemetry cannot be looked at', () => {
  const getTracer = () => {
    throw new Error('no tracer')
  }
  expect(warnings({ telemetry: { tracerProvider: { getTracer } } })).toEqual([
    'warn: what OpenTelemetry was set up to do could not be looked at',
  ])
})
