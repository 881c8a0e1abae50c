import { createHash, createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createKest } from '../config/kest.js'
import { canonicalize } from '../entry/canonicalize.js'
import { MemoryPseudonymKeys } from '../pseudonyms/memory-pseudonym-keys.js'
import { RecordingLogger } from '../testing/recording-logger.js'

const logger = new RecordingLogger()
const value = { to: 'alice', amount: 7 }
const of = { operation: 'payments.charge' }

describe('kest.inputHash', () => {
  it('is the SHA-256 of the RFC 8785 JSON', async () => {
    const kest = createKest({ logger })
    const hash = createHash('sha256').update('{"amount":7,"to":"alice"}').digest('hex')
    expect(await kest.inputHash(value, of)).toBe(hash)
    expect(await kest.inputHash({ amount: 7, to: 'alice' }, of)).toBe(hash)
    await expect(kest.inputHash(undefined, of)).rejects.toMatchObject({ code: 'ERR_KEST_NOT_JSON' })
    await expect(kest.inputHash({ a: '\ud800' }, of)).rejects.toMatchObject({ code: 'ERR_KEST_NOT_JSON' })
  })

  it('K-PSEUDONYM is keyed where pseudonyms are on, and nobody can guess at it without the key', async () => {
    const pseudonyms = new MemoryPseudonymKeys()
    const kest = createKest({ subject: { pseudonyms }, logger })
    const { key } = pseudonyms.current({ tenant: null })
    const text = canonicalize(['kest.input', canonicalize(value)])
    expect(await kest.inputHash(value, of)).toBe(createHmac('sha256', key).update(text).digest('hex'))
    pseudonyms.destroy({ tenant: null })
    expect(await kest.inputHash(value, of)).not.toBe(createHmac('sha256', key).update(text).digest('hex'))
  })

  it('K-PSEUDONYM asks for the key of the operation, and is refused where there is none', async () => {
    const asked: unknown[] = []
    const pseudonyms = {
      current: (subject: unknown) => {
        asked.push(subject)
        return null
      },
      find: () => null,
    }
    const kest = createKest({ subject: { pseudonyms }, logger })
    await expect(kest.inputHash(value, of)).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY_CONFLICT' })
    expect(asked).toEqual([{ part: 'task', issuer: null, tenant: null, name: 'payments.charge' }])
  })
})
