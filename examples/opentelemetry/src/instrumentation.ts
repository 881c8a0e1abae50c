// Loaded before anything else: node --import ./dist/instrumentation.js dist/orders.js
import { register } from 'node:module'
import { filterKestBaggage } from '@kest/core'
import { getNodeAutoInstrumentations } from '@opentelemetry/auto-instrumentations-node'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { NodeSDK } from '@opentelemetry/sdk-node'

// ES modules are instrumented by their loader.
register('@opentelemetry/instrumentation/hook.mjs', import.meta.url)

const propagators = [new W3CTraceContextPropagator(), new W3CBaggagePropagator()]
const sdk = new NodeSDK({
  instrumentations: [getNodeAutoInstrumentations()],
  // Of Kest nothing gets into OpenTelemetry's Baggage, and so to nobody whom instrumentation tells of it.
  textMapPropagator: filterKestBaggage(new CompositePropagator({ propagators })),
})
sdk.start()

process.once('SIGTERM', () => void sdk.shutdown())
