import { propagation, ROOT_CONTEXT } from '@opentelemetry/api'
import { describe, expect, it } from 'vitest'
import { RecordingLogger } from '../testing/index.js'
import { createKest } from './kest.js'

const contextWith = (...keys: readonly string[]) =>
  propagation.setBaggage(
    ROOT_CONTEXT,
    propagation.createBaggage(Object.fromEntries(keys.map((key) => [key, { value: '1' }]))),
  )

describe('kest.cleanContext', () => {
  it('K-AMBIENT takes kest.* out of OpenTelemetry’s Baggage, and warns once of a propagator that let it in', () => {
    const logger = new RecordingLogger()
    const kest = createKest({ logger })
    for (let n = 0; n < 3; n++) {
      const clean = kest.cleanContext(contextWith('kest.passport', 'tenant'))
      expect(
        propagation
          .getBaggage(clean)
          ?.getAllEntries()
          .map(([key]) => key),
      ).toEqual(['tenant'])
    }
    expect(logger.records).toMatchObject([
      { level: 'warn', message: expect.stringContaining('filterKestBaggage') },
    ])
  })

  it('leaves alone, and says nothing of, what has none', () => {
    const logger = new RecordingLogger()
    const kest = createKest({ logger })
    for (const context of [ROOT_CONTEXT, contextWith('tenant')])
      expect(kest.cleanContext(context)).toBe(context)
    expect(logger.records).toEqual([])
  })
})
