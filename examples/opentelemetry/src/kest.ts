import { configure, createFunctionEngine } from '@kest/core'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { setupTelemetry } from '@kest/telemetry'

const identity = await SPIREProvider.connect()

/** Audit spans go by a provider of their own to the same Collector: no sampler of the SDK drops one. */
const telemetry = setupTelemetry({ flushOn: ['SIGTERM'] })

configure({
  identity,
  engine: createFunctionEngine({ 'shop/read': ({ trust_score }) => trust_score >= 10 }),
  trust: createX509KeySource(identity.source),
  telemetry,
})
