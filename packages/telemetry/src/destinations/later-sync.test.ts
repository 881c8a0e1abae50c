import { RecordingLogger } from '@kest/core/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { LaterSync } from './later-sync.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function laterSync(sync: () => Promise<void>) {
  const logger = new RecordingLogger()
  return { later: new LaterSync(sync, { file: 'audit.db', logger }), logger }
}

it('what is being forced to the disk has ended when it is cancelled', async () => {
  let end = () => {}
  const { later } = laterSync(
    () =>
      new Promise((resolve) => {
        end = resolve
      }),
  )
  later.request()
  await vi.advanceTimersToNextTimerAsync()
  const order: string[] = []
  const cancelled = later.cancel().then(() => order.push('cancelled'))
  await vi.advanceTimersByTimeAsync(10_000)
  order.push('ended')
  end()
  await cancelled
  expect(order).toEqual(['ended', 'cancelled'])
})

it('what was only asked for is not begun once it is cancelled', async () => {
  const sync = vi.fn(async () => {})
  const { later } = laterSync(sync)
  later.request()
  await later.cancel()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(sync).not.toHaveBeenCalled()
})

it('that it failed is logged, and it is done again when more is written', async () => {
  const sync = vi.fn(async () => {}).mockRejectedValueOnce(new Error('full'))
  const { later, logger } = laterSync(sync)
  for (let i = 0; i < 2; i++) {
    later.request()
    await vi.advanceTimersToNextTimerAsync()
  }
  await later.cancel()
  expect(sync).toHaveBeenCalledTimes(2)
  expect(logger.records).toMatchObject([{ level: 'error', details: { file: 'audit.db', err: 'full' } }])
})
