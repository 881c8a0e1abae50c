import { createKest } from '@kest/core'
import { expect, it } from 'vitest'
import { readSettings } from './settings.js'
import { createTelemetry } from './telemetry.js'

it.each([{ OTEL_TRACES_EXPORTER: 'none' }, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }])(
  'a service is configured with what it exports to: %j',
  async (environment) => {
    const telemetry = createTelemetry('hop1', readSettings(environment))
    await expect(createKest({ telemetry }).close()).resolves.toBeUndefined()
    await telemetry.shutdown()
  },
)
