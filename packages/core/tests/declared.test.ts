import { describe, expect, it } from 'vitest'
import { createKest } from '../src/config/kest.js'
import { MockIdentityProvider } from '../src/identity/mock.js'
import { parsePassport } from '../src/passport/passport.js'
import { verifyPassport } from '../src/passport/verify.js'
import { buildPassport } from '../src/testing/build-passport.js'
import { RecordingLogger } from '../src/testing/recording-logger.js'

/** What a passport does not show (SECURITY.md). If one of these fails, the documentation promises too little. */
describe('what is declared not to be detected', () => {
  const identity = new MockIdentityProvider('spiffe://kest.test/receiver')

  it('K-DECLARED a fresh passport can be presented again by whoever saw it', async () => {
    const { headers, trust } = await buildPassport([{ by: 'a' }, { by: 'b' }])
    const kest = createKest({ identity, trust, logger: new RecordingLogger() })
    await expect(kest.extract(headers)).resolves.toBeDefined()
    await expect(kest.extract(headers)).resolves.toBeDefined()
  })

  it('K-DECLARED an older prefix can be forwarded, with its own tip', async () => {
    const { passport, trust } = await buildPassport([{ by: 'a' }, { by: 'b' }])
    const prefix = parsePassport(passport.entries.slice(0, 1))
    await expect(verifyPassport(prefix, { trust })).resolves.toMatchObject({
      principals: ['spiffe://kest.test/a'],
    })
  })
})

describe('time', () => {
  it('NF-SEC-05 decides no order: links do, whatever the clocks say', async () => {
    let now = Date.now()
    const backwards = {
      now: () => {
        now -= 1_000
        return now
      },
    }
    const first = await buildPassport([{ by: 'a' }, { by: 'b' }], { clock: backwards })
    const { entries } = await verifyPassport(first.passport, { trust: first.trust })
    const [a, b] = entries
    expect(b?.entry.timestamp_ms).toBeLessThan(a?.entry.timestamp_ms as number)
    expect(b?.entry.parent_ids).toEqual([a?.hash])
    expect(entries.map(({ principal }) => principal)).toEqual([
      'spiffe://kest.test/a',
      'spiffe://kest.test/b',
    ])
  })
})
