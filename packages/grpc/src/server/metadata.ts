import type { Metadata } from '@grpc/grpc-js'
import type { InboundHeaders } from '@kest/core'
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api'

const BAGGAGE = 'baggage'

/** What a listener looks at beside lineage and token: the proof of a token's sender, and the log's name of a request. */
const BESIDE = ['dpop', 'x-request-id']

/** Metadata as `node:http` has headers. */
export function headersOf(metadata: Metadata, reads: readonly string[]): InboundHeaders {
  const headers: InboundHeaders = {}
  for (const name of [...reads, ...BESIDE]) {
    const values = metadata.get(name) as string[]
    if (values.length > 0) headers[name] = values.length === 1 ? values[0] : values
  }
  return headers
}

/** Leaves in the metadata of `baggage` what is left of it in the headers: no lineage, for a handler to forward. */
export function keepRestOf(headers: InboundHeaders, metadata: Metadata): void {
  metadata.remove(BAGGAGE)
  for (const line of [headers[BAGGAGE] ?? []].flat()) metadata.add(BAGGAGE, line)
}

/**
 * OpenTelemetry's context with the span that a call was made in, and nothing else of what came: its own instrumentation has
 * one for the handler alone, and what Kest records before would be in another trace.
 */
export function contextIn(metadata: Metadata): Context {
  const caller = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, metadata, GETTER))
  return caller === undefined ? context.active() : trace.setSpanContext(context.active(), caller)
}

const GETTER: TextMapGetter<Metadata> = {
  get: (metadata, key) => metadata.get(key).at(0)?.toString(),
  keys: (metadata) => Object.keys(metadata.getMap()),
}
