import { describe, expect, it } from 'vitest'
import { createKest } from '../config/kest.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'

const identity = new MockIdentityProvider('caller')
const trust = createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })
const engine = new MockPolicyEngine()
const caller = createKest({ identity, engine, logger: new RecordingLogger() })
const service = (logger = new RecordingLogger()) =>
  createKest({ identity: new MockIdentityProvider('service'), engine, trust, logger })

/** What a caller sends from an operation of that name. */
async function sent(operation: string): Promise<{ baggage: string }> {
  const begun = await caller.begin({ operation, policy: 'any', origin: 'system' })
  return begun.run(() => caller.inject({ baggage: 'tenant=a' }, 'http://service'))
}

describe('lineage within a request that was judged already', () => {
  it('K-CARRIER adds nothing, and must have the same tips, also when operations have begun meanwhile', async () => {
    const kest = service()
    const listener = kest.listener()
    const one = await sent('one')
    const state = await listener.receive({ headers: { ...one } })
    const operation = await kest.begin({ operation: 'route', policy: 'any' }, { state })
    for (const within of [state, operation.state]) {
      const carrier = { ...one }
      const before = within.frame.lineage
      await listener.within(within, { headers: carrier })
      expect(carrier).toEqual({ baggage: 'tenant=a' })
      expect(within.frame.lineage).toBe(before)
      const other = { ...(await sent('other')) }
      await expect(listener.within(within, { headers: other })).rejects.toMatchObject({
        code: 'ERR_KEST_TIP',
      })
      expect(other).toEqual({ baggage: 'tenant=a' })
    }
  })

  it('K-CARRIER refuses what does not say how it ends, or is malformed', async () => {
    const listener = service().listener()
    const state = await listener.receive({ headers: await sent('one') })
    const refused = (baggage: unknown) =>
      expect(listener.within(state, { headers: { baggage } as never })).rejects
    await refused('kest.passport=%5B%5D').toMatchObject({ code: 'ERR_KEST_TIP' })
    await refused('kest.chain_tip=nonsense').toMatchObject({ code: 'ERR_KEST_BAGGAGE' })
    await refused('kest.user=a,kest.user=b').toMatchObject({ code: 'ERR_KEST_BAGGAGE' })
    await refused(7).toMatchObject({ code: 'ERR_KEST_BAGGAGE' })
    await refused('x'.repeat(16_384).concat(',kest.user=a')).toMatchObject({ code: 'ERR_KEST_LIMIT' })
    await listener.within(state, { headers: { baggage: 'tenant=a' } })
    await listener.within(state, { headers: {} })
  })

  it('K-EDGE removes it unread where the request has begun here, and at an edge, and says so', async () => {
    const logger = new RecordingLogger()
    const kest = service(logger)
    const edge = kest.listener({ origin: 'internet' })
    const begun = await edge.receive({ headers: {} })
    const brought = await kest.listener().receive({ headers: await sent('one') })
    for (const [listener, state] of [
      [kest.listener(), begun],
      [edge, begun],
      [edge, brought],
    ] as const) {
      const carrier = { baggage: 'kest.passport=nonsense,KEST.user=eve,tenant=a' }
      await listener.within(state, { headers: carrier })
      expect(carrier).toEqual({ baggage: 'tenant=a' })
    }
    expect(
      logger.records.map(({ message }) => message).filter((message) => message.includes('K-EDGE')),
    ).toEqual(Array(3).fill('kest.* members were removed from a request at an edge (K-EDGE)'))
  })
})
