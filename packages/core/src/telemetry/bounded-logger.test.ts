import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { RecordingLogger } from '../testing/recording-logger.js'
import { boundedLogger } from './bounded-logger.js'

function logged(details: Record<string, unknown>): Readonly<Record<string, unknown>> {
  const logger = new RecordingLogger()
  boundedLogger(logger).warn(details, 'message')
  return logger.records[0]?.details as Record<string, unknown>
}

describe('boundedLogger', () => {
  it('leaves what is short as it is', () => {
    const details = { code: 'x', index: 0, entry_id: null, policies: ['a', 'b'], found: { deep: [true] } }
    expect(logged({ ...details, absent: undefined })).toEqual(details)
  })

  it('keeps each text on one line, whatever is in it', () => {
    expect(logged({ path: 'a\nb\r\u001b[2J\u0085\u2028\u202e\u200b' })).toEqual({
      path: 'a\\u000ab\\u000d\\u001b[2J\\u0085\\u2028\\u202e\\u200b',
    })
  })

  it('bounds a line, however large and whatever shape its details are', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 2_000 }), fc.anything({ maxDepth: 6 })), (details) => {
        const line = JSON.stringify(logged({ ...details, flood: Array(1_000).fill('\n'.repeat(5_000)) }))
        expect(line.length).toBeLessThan(16_000)
      }),
      { numRuns: 200 },
    )
  })

  it('says how much of a list is left out', () => {
    expect((logged({ list: Array(100).fill(1) })['list'] as unknown[]).at(-1)).toBe('… 76 more')
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('disk full')
      },
    ],
    ['rejects', () => Promise.reject(new Error('disk full'))],
    ['rejects with what cannot be text', () => Promise.reject(Object.create(null))],
  ])('ends nothing where the logger %s, and warns of it', async (_, fail) => {
    const warned = vi.spyOn(process, 'emitWarning').mockReturnValue()
    onTestFinished(() => warned.mockRestore())
    boundedLogger(Object.assign(new RecordingLogger(), { error: fail as () => void })).error(
      {},
      'the engine fails',
    )
    await expect.poll(() => warned.mock.calls.length).toBe(1)
    expect(warned).toHaveBeenCalledWith(expect.stringMatching(/^the logger failed at "the engine fails": /), {
      type: 'KestWarning',
      code: 'KEST_LOGGER',
    })
  })
})
