import { describe, expect, it } from 'vitest'
import { PASSED_OFF, refuser } from '../../tests/support/denials.js'
import { chain, trustIn } from '../../tests/support/signed.js'
import { createKest } from '../config/kest.js'
import type { KestOptions } from '../config/options.js'
import { entryHash } from '../entry/hash.js'
import { MemoryCache } from '../propagation/memory-cache.js'
import { FakeClock } from '../testing/fake-clock.js'
import { ORDERS, refusal } from '../testing/message-world.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'

const READ_AT = Date.UTC(2030, 0, 1)
const root = chain({ by: 'hop1' })[0]?.jws as string

/** A service that knows the key of whoever refused. */
function service(options: Partial<KestOptions> = {}) {
  return createKest({
    identity: refuser,
    engine: new MockPolicyEngine(),
    trust: trustIn('hop1'),
    logger: new RecordingLogger(),
    clock: new FakeClock(READ_AT),
    ...options,
  })
}

const member = (passport: readonly string[]): { baggage: string } => ({
  baggage: `kest.passport=${encodeURIComponent(JSON.stringify(passport))}`,
})

type Brings = (passport: readonly string[], mode: 'full' | 'tip' | 'off') => Promise<unknown>

/** Every way in which lineage comes to a service. */
const CARRIERS: Readonly<Record<string, Brings>> = {
  'the header': (passport, mode) => service().extract(member(passport), { mode }),
  'the header, to an edge that takes lineage': (passport, mode) =>
    service()
      .listener({
        origin: 'third_party_api',
        acceptLineage: true,
        binding: 'mtls',
        // Where the sender must be known, its signature is.
        mode: mode === 'off' ? 'tip' : mode,
      })
      .receive({ headers: member(passport), peer: { spiffeId: refuser.getWorkloadId() } }),
  'what is beside a payload': (passport, mode) =>
    service()
      .listener({ mode })
      .receive({ headers: {}, also: [member(passport)] }),
  'a claim check': async (passport, mode) => {
    const cache = new MemoryCache()
    const id = '9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d'
    await cache.setIfAbsent(`kest:default:${id}`, JSON.stringify(passport), 60_000)
    const tip = entryHash(passport.at(-1) as string)
    const headers = { baggage: `kest.claim_check=${id},kest.chain_tip=${tip}` }
    return service({ cache }).extract(headers, { mode })
  },
  'a message': (passport, mode) =>
    service()
      .messages({ operation: { policy: 'test' }, mode })
      .receive({ headers: member(passport), body: 'x', from: ORDERS }),
  'a job': (passport, mode) => service().resume({ passport }, { mode }),
}

describe.each(Object.entries(CARRIERS))('K-DENIAL lineage in %s', (_, brings) => {
  it('K-DENIAL is taken as long as it is of entries', async () => {
    await expect(brings([root], 'full')).resolves.toBeDefined()
  })

  it.each(Object.entries(PASSED_OFF))('K-DENIAL is refused with a denial in it, %s', async (_, jws) => {
    for (const mode of ['full', 'tip', 'off'] as const)
      for (const passport of [[jws], [root, jws], [jws, root]])
        expect(await refusal(brings(passport, mode))).toMatch(/^ERR_KEST_ENTRY_(?:HEADER|SCHEMA)$/)
  })
})
