import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { KestError } from '../errors.js'
import { type LogRecord, RecordingLogger } from '../testing/recording-logger.js'
import type { Logger } from './logger.js'
import { Outages } from './outages.js'

const OPA = 'http://127.0.0.1:8181'
let logger: RecordingLogger
let outages: Outages

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  logger = new RecordingLogger()
  outages = new Outages(logger)
})

afterEach(() => {
  outages.close()
  vi.useRealTimers()
})

function fail(asked = OPA, code = 'ERR_KEST_ENGINE', cause: unknown = new Error('ECONNREFUSED')): void {
  const error = new KestError('ERR_KEST_ENGINE', 'the policy engine failed', { cause })
  outages.failed({ what: 'the policy engine', asked, code, error, details: () => ({ operation: 'GET /' }) })
}

const lines = (): LogRecord[] => logger.records.filter(({ level }) => level !== 'debug')
const texts = (): string[] => lines().map(({ level, message }) => `${level}: ${message}`)

describe('Outages', () => {
  it('says at once what fails, as an error that names what was asked, without a stack', () => {
    fail()
    expect(lines()).toEqual([
      {
        level: 'error',
        details: {
          code: 'ERR_KEST_ENGINE',
          asked: OPA,
          operation: 'GET /',
          err: 'the policy engine failed; cause: Error: ECONNREFUSED',
          remedy: expect.stringContaining('look whether the policy engine runs'),
        },
        message: 'the policy engine fails: what needs it is refused',
      },
    ])
  })

  it('shows where it was thrown to who debugs, once', () => {
    fail()
    fail()
    const [shown, ...more] = logger.records.filter(({ level }) => level === 'debug')
    expect(shown?.details['stack']).toEqual(expect.arrayContaining([expect.stringMatching(/^at /)]))
    expect(more).toEqual([])
  })

  it('counts each ten seconds while it lasts, and says when it works again', () => {
    for (let second = 0; second < 70; second++) {
      for (let i = 0; i < 100; i++) fail()
      vi.advanceTimersByTime(1_000)
    }
    for (let second = 0; second < 30; second++) {
      outages.works(OPA)
      vi.advanceTimersByTime(1_000)
    }
    expect(texts()).toEqual([
      'error: the policy engine fails: what needs it is refused',
      ...Array(7).fill('error: the policy engine still fails'),
      'info: the policy engine works again',
    ])
    const counts = lines().map(({ details }) => [
      details['count'],
      details['count_in_all'],
      details['seconds'],
    ])
    expect(counts.slice(1, 3)).toEqual([
      [999, 1000, 10],
      [1000, 2000, 20],
    ])
    expect(counts.at(-1)).toEqual([undefined, 7000, 69])
    expect(lines().reduce((sum, { details }) => sum + (Number(details['count']) || 0), 1)).toBe(7000)
  })

  it('says nothing while nothing fails any more and nothing has worked either', () => {
    fail()
    vi.advanceTimersByTime(600_000)
    expect(lines()).toHaveLength(1)
    fail()
    expect(texts().at(-1)).toBe('error: the policy engine still fails')
  })

  it('says at once that it works again where it has not failed for ten seconds', () => {
    fail()
    vi.advanceTimersByTime(60_000)
    outages.works(OPA)
    expect(texts().at(-1)).toBe('info: the policy engine works again')
    fail()
    expect(texts().at(-1)).toBe('error: the policy engine fails: what needs it is refused')
  })

  it('takes what works by turns for one outage, and writes no more for it', () => {
    for (let i = 0; i < 700; i++) {
      fail()
      outages.works(OPA)
      vi.advanceTimersByTime(100)
    }
    expect(lines()).toHaveLength(1 + 7)
    expect(texts()).not.toContain('info: the policy engine works again')
  })

  it('tells apart what was asked, and codes', () => {
    fail()
    fail('http://127.0.0.1:8182')
    fail(OPA, 'ERR_KEST_ENGINE_TIMEOUT')
    expect(lines().map(({ details }) => details['asked'])).toEqual([OPA, 'http://127.0.0.1:8182', OPA])
    outages.works('http://127.0.0.1:8182')
    vi.advanceTimersByTime(20_000)
    expect(lines().slice(3)).toMatchObject([{ details: { asked: 'http://127.0.0.1:8182' }, level: 'info' }])
  })

  it('tells more than 64 at a time as one', () => {
    for (let i = 0; i < 1_000; i++) fail(`asked ${i}`)
    expect(lines()).toHaveLength(65)
    vi.advanceTimersByTime(10_000)
    expect(lines().slice(65)).toMatchObject([{ details: { asked: 'others', count: 1000 - 65 } }])
  })

  it('says after an hour what has not failed since', () => {
    fail()
    vi.advanceTimersByTime(3_600_000)
    expect(texts().at(-1)).toBe('info: the policy engine has not failed for an hour')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('has no timer while nothing fails', () => {
    outages.works(OPA)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('tells the last count when it is closed', () => {
    fail()
    fail()
    fail()
    outages.close()
    expect(lines().at(-1)?.details).toMatchObject({ count: 2, count_in_all: 3 })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('counts in the context of whoever made it, not in that of a request', () => {
    const storage = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    const note = () => void seen.push(storage.getStore())
    outages = new Outages({ debug() {}, info: note, warn: note, error: note })
    storage.run('a request', () => {
      fail()
      fail()
    })
    vi.advanceTimersByTime(10_000)
    expect(seen).toEqual(['a request', undefined])
  })

  it('outlives a logger that throws', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const throws = () => {
      throw new Error('disk full')
    }
    const broken: Logger = { debug: throws, info: throws, warn: throws, error: throws }
    outages = new Outages(broken)
    fail()
    fail()
    vi.advanceTimersByTime(10_000)
    expect(warn.mock.calls[0]?.[0]).toContain('the logger failed')
    warn.mockRestore()
  })
})
