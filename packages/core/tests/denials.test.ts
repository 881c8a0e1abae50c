import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createKest } from '../src/config/kest.js'
import { parseDenial } from '../src/denial/parse.js'
import { MockIdentityProvider } from '../src/identity/mock.js'
import type { InboundHeaders } from '../src/ingress/listener.js'
import type { ListenerOptions } from '../src/ingress/listener-options.js'
import { ATTRIBUTE } from '../src/telemetry/attributes.js'
import { buildPassport } from '../src/testing/build-passport.js'
import { FakeClock } from '../src/testing/fake-clock.js'
import { MockPolicyEngine } from '../src/testing/mock-engine.js'
import { RecordingLogger } from '../src/testing/recording-logger.js'

const identity = new MockIdentityProvider('service')
const caller = await buildPassport([{ by: 'caller' }])
const stranger = await buildPassport([{ by: 'stranger' }])
const old = await buildPassport([{ by: 'caller' }], { clock: new FakeClock(1_700_000_000_000) })

/** A service that counts how often it uses its key, and what it records. */
function service() {
  let used = 0
  const exporter = new InMemorySpanExporter()
  const { workloadId, header } = identity.current()
  const signer = {
    workloadId,
    header,
    local: true,
    sign: (input: Buffer) => {
      used++
      return identity.current().sign(input)
    },
  }
  const kest = createKest({
    identity: { getWorkloadId: () => workloadId, current: () => signer },
    engine: new MockPolicyEngine(false),
    trust: caller.trust,
    logger: new RecordingLogger(),
    telemetry: {
      tracerProvider: new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    },
  })
  const spans = () => exporter.getFinishedSpans()
  const denials = () =>
    spans().flatMap(({ attributes: { [ATTRIBUTE.denial]: jws } }) =>
      jws === undefined ? [] : [parseDenial(jws).denial],
    )
  return { kest, used: () => used, spans, denials }
}

const token = {
  jwks: { keys: [identity.getPublicJwk()] },
  issuer: 'https://login.example.org',
  audience: 'orders',
  required: true,
}

afterEach(() => vi.restoreAllMocks())

describe('K-DENIAL requests that are refused at the door', () => {
  it.each<[string, InboundHeaders, ListenerOptions, string]>([
    ['without lineage', {}, {}, 'ERR_KEST_LINEAGE_MISSING'],
    ['for a malformed header', { baggage: 'kest.passport=%7B' }, {}, 'ERR_KEST_PASSPORT_MALFORMED'],
    ['for a signature', stranger.headers, {}, 'ERR_KEST_KEY_UNKNOWN'],
    ['for their tips', { baggage: `kest.chain_tip=${'a'.repeat(64)}` }, {}, 'ERR_KEST_TIP'],
    ['for their age', old.headers, {}, 'ERR_KEST_FRESHNESS'],
    ['for their sender', caller.headers, { binding: 'mtls' }, 'ERR_KEST_BINDING'],
    ['for want of a token', {}, { origin: 'user_input', token }, 'ERR_KEST_TOKEN'],
  ])('K-DENIAL %s are nobody’s operation: the key is not used', async (_, headers, options, code) => {
    const { kest, used, spans } = service()
    const listener = kest.listener(options)
    await expect(listener.receive({ headers: { ...headers } })).rejects.toMatchObject({ code })
    expect([used(), spans()]).toEqual([0, []])
  })

  it('K-DENIAL so that strangers, however many, leave the signatures to those who are known', async () => {
    const { kest, denials } = service()
    const listener = kest.listener({})
    vi.spyOn(performance, 'now').mockReturnValue(1_000)
    for (let n = 0; n < 500; n++)
      await expect(listener.receive({ headers: {} })).rejects.toMatchObject({ statusCode: 403 })
    const state = await listener.receive({ headers: { ...caller.headers } })
    await expect(kest.begin({ operation: 'read', policy: 'no' }, { state })).rejects.toThrow()
    expect(denials()).toMatchObject([{ operation: 'read', parents: [expect.any(String)] }])
    expect(denials()[0]).not.toHaveProperty('unsigned')
  })
})

describe('K-DENIAL 1,000 requests that a service refuses by a policy', () => {
  it('K-DENIAL use its key 200 times within a second, and the next one counts the rest', async () => {
    const { kest, used, spans, denials } = service()
    const listener = kest.listener({ origin: 'internet' })
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1_000)
    const ask = async (): Promise<void> => {
      const state = await listener.receive({ headers: {} })
      await expect(kest.begin({ operation: 'read', policy: 'no' }, { state })).rejects.toThrow()
    }
    for (let n = 0; n < 1_000; n += 50) {
      await Promise.all(Array.from({ length: 50 }, ask))
      clock.mockReturnValue(1_000 + (n * 999) / 1_000)
    }
    expect([used(), denials().length, spans().length]).toEqual([200, 200, 1_000])
    clock.mockReturnValue(2_000)
    await ask()
    expect(denials().at(-1)).toMatchObject({ unsigned: 800, n: expect.stringMatching(/:201$/) })
  })
})
