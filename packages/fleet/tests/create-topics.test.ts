import { describe, expect, it } from 'vitest'
import { createTopics } from '../src/index.js'

describe('topics of a fleet', () => {
  it.each([
    { verdictRetentionMs: 604_799_999 },
    { retentionMs: 10, verdictRetentionMs: 9 },
    { verdictRetentionMs: 0 },
    { retentionMs: 2 ** 53 - 1 },
  ])('keep no verdict for less than its spans: %j', async (options) => {
    const kafka = { brokers: ['127.0.0.1:1'] }
    await expect(createTopics({ kafka, ...options })).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
      message: expect.stringContaining('verdictRetentionMs: expected'),
    })
  })
})
