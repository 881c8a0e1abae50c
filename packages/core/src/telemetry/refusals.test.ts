import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RecordingLogger } from '../testing/recording-logger.js'
import { Refusals } from './refusals.js'

const kind = { code: 'ERR_KEST_DENIED', operation: 'GET /', message: 'operation denied' }
let logger: RecordingLogger
let refusals: Refusals

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  logger = new RecordingLogger()
  refusals = new Refusals(logger)
})

afterEach(() => {
  refusals.close()
  vi.useRealTimers()
})

describe('Refusals', () => {
  it('tells ten of a kind in full, and how many more there were when ten seconds are over', () => {
    for (let i = 0; i < 1_000; i++) refusals.refused(kind, () => ({ entry_id: i }))
    expect(logger.records).toHaveLength(10)
    expect(logger.records[9]).toEqual({
      level: 'warn',
      details: { code: 'ERR_KEST_DENIED', operation: 'GET /', entry_id: 9 },
      message: 'operation denied',
    })
    vi.advanceTimersByTime(10_000)
    expect(logger.records.slice(10)).toEqual([
      {
        level: 'warn',
        details: { code: 'ERR_KEST_DENIED', operation: 'GET /', count: 990 },
        message: 'operation denied: so many more',
      },
    ])
    refusals.refused(kind, () => ({ entry_id: 'next' }))
    expect(logger.records.at(-1)?.details['entry_id']).toBe('next')
  })

  it('tells the first of each kind, however many there are of others', () => {
    for (let code = 0; code < 40; code++)
      for (let i = 0; i < 100; i++) refusals.refused({ ...kind, code: `CODE_${code}` }, () => ({}))
    refusals.refused({ ...kind, code: 'RARE' }, () => ({}))
    expect(logger.records.at(-1)?.details['code']).toBe('RARE')
    expect(logger.records.length).toBeLessThan(150)
  })

  it('counts more than 64 kinds as one, and loses none', () => {
    for (let i = 0; i < 10_000; i++) refusals.refused({ ...kind, operation: `op ${i}` }, () => ({}))
    vi.advanceTimersByTime(10_000)
    const told = logger.records.filter(({ details }) => details['count'] === undefined)
    const counted = logger.records.reduce((sum, { details }) => sum + (Number(details['count']) || 0), 0)
    expect(told.length).toBeLessThanOrEqual(74)
    expect(told.length + counted).toBe(10_000)
  })

  it('has no timer while nothing is refused, and tells the rest when it is closed', () => {
    for (let i = 0; i < 12; i++) refusals.refused(kind, () => ({}))
    refusals.close()
    expect(logger.records.at(-1)?.details).toMatchObject({ count: 2 })
    vi.advanceTimersByTime(20_000)
    expect(vi.getTimerCount()).toBe(0)
    expect(logger.records).toHaveLength(11)
  })
})
