import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { ATTRIBUTE } from '@kest/core'
import type { MadeEntry } from './make-entry.js'
import { denialOf, type OtlpSpan, otlpLine } from './make-span.js'
import { Workloads } from './plant.js'

/** Spans of one line. */
const BATCH = 32

/**
 * What may be large about an export: as many traces that hold a denial and nothing else; a trace of as many denials; as many sound
 * traces of one entry; a sound trace of as many spans, in lineages of four whose passports are in them.
 */
export const SHAPES = {
  denials: denialsOf('traces'),
  'denials-of-one-trace': denialsOf('spans'),
  sound: soundTraces,
  'one-trace': oneTrace,
} as const satisfies Record<string, Shape>

type Shape = (workloads: Workloads, count: number) => Generator<OtlpSpan>

/** @returns the keys, as an auditor has them */
export async function writeLarge(
  path: string,
  shape: keyof typeof SHAPES,
  count: number,
): Promise<Record<string, object[]>> {
  const workloads = new Workloads()
  const file = createWriteStream(path)
  let batch: OtlpSpan[] = []
  const flush = async (): Promise<void> => {
    if (batch.length > 0 && !file.write(`${otlpLine('large', batch)}\n`)) await once(file, 'drain')
    batch = []
  }
  for (const span of SHAPES[shape](workloads, count)) {
    batch.push(span)
    if (batch.length === BATCH) await flush()
  }
  await flush()
  file.end()
  await finished(file)
  return workloads.keys()
}

function denialsOf(what: 'traces' | 'spans'): Shape {
  return function* denials({ gateway }, count) {
    const span = denialOf(gateway.make([]))
    span.attributes[ATTRIBUTE.errorType] = 'ERR_KEST_DENIED'
    for (let n = 0; n < count; n++) {
      const traceId = (what === 'traces' ? n + 1 : 1).toString(16).padStart(32, '0')
      yield { ...span, traceId, attributes: { ...span.attributes, [ATTRIBUTE.traceId]: traceId } }
    }
  }
}

function* soundTraces({ gateway }: Workloads, count: number): Generator<OtlpSpan> {
  for (let n = 0; n < count; n++) yield gateway.span(gateway.make([])).span
}

function* oneTrace({ gateway, orders, payments }: Workloads, count: number): Generator<OtlpSpan> {
  const root = gateway.make([])
  const services = [orders, payments, gateway] as const
  yield gateway.span(root, [root]).span
  let lineage: MadeEntry[] = [root]
  for (let n = 1; n < count; n++) {
    const service = services[n % 3] as typeof gateway
    const made = service.make(lineage.slice(-1))
    lineage.push(made)
    yield service.span(made, lineage).span
    if (lineage.length === 4) lineage = [root]
  }
}
