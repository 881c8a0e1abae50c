import { KestError } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { expect, it } from 'vitest'
import { Redelivery } from './redelivery.js'

it.each([0, -1, 1.5, 3_600_001, '1000', Number.NaN])('refuses a pause of %s', (redeliverAfterMs) => {
  expect(() => new Redelivery('wrap', { redeliverAfterMs: redeliverAfterMs as number })).toThrow(
    expect.objectContaining({
      code: 'ERR_KEST_CONFIG',
      message: expect.stringContaining('wrap.redeliverAfterMs'),
    }),
  )
})

it('refuses what is no logger', () => {
  expect(() => new Redelivery('wrap', { logger: {} as never })).toThrow('wrap.logger')
})

it('tells of dead letters that were not taken, and not a second time of what was refused', () => {
  const logger = new RecordingLogger()
  const redelivery = new Redelivery('wrap', { logger })
  redelivery.tell('amqp://default/orders', new KestError('ERR_KEST_ENGINE', 'down'))
  expect(logger.records).toEqual([])
  redelivery.tell('amqp://default/orders', new Error('no such queue'))
  expect(logger.records).toMatchObject([{ level: 'error', details: { from: 'amqp://default/orders' } }])
})
