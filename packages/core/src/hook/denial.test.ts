import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { describe, expect, it } from 'vitest'
import { createKest } from '../config/kest.js'
import type { KestOptions } from '../config/options.js'
import { parseDenial } from '../denial/parse.js'
import { verifyDenial } from '../denial/verify.js'
import { LABEL } from '../entry/entry.js'
import { KestConfigError, PolicyDeniedError } from '../errors.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { Signer } from '../identity/provider.js'
import { ATTRIBUTE } from '../telemetry/attributes.js'
import { buildPassport } from '../testing/build-passport.js'
import { FakeClock } from '../testing/fake-clock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'

const identity = new MockIdentityProvider('spiffe://deny.test/service')
const trust = createKeySource({ 'spiffe://deny.test/service': [identity.getPublicJwk()] })
const root = { operation: 'root', policy: 'yes', origin: 'system' } as const
const refused = { operation: 'refused', policy: ['yes', 'no'] } as const

function setUp(options: Partial<KestOptions> = {}) {
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const logger = new RecordingLogger()
  const kest = createKest({
    identity,
    engine: new MockPolicyEngine({ yes: true, no: false }),
    trust,
    logger,
    telemetry: { tracerProvider },
    ...options,
  })
  const denials = () =>
    exporter.getFinishedSpans().flatMap(({ attributes }) => {
      const jws = attributes[ATTRIBUTE.denial]
      return jws === undefined ? [] : [parseDenial(jws)]
    })
  return { kest, exporter, denials, logger }
}

/** An identity whose signer is changed. */
const signing = (change: Partial<Signer>) => {
  const { workloadId, header } = identity.current()
  const signer: Signer = {
    workloadId,
    header,
    local: true,
    sign: (input) => identity.current().sign(input),
    ...change,
  }
  return { getWorkloadId: () => workloadId, current: () => signer }
}

describe('K-DENIAL a refusal', () => {
  it('K-DENIAL is signed by who refused: which operation, why, for which policies, and on what it would have built', async () => {
    const { kest, exporter, denials } = setUp({ clock: new FakeClock(1_790_000_000_000) })
    const first = await kest.begin(root)
    const error = await kest.begin(refused, { state: first.enter() }).catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(PolicyDeniedError)
    const [denial, ...others] = denials()
    expect(others).toEqual([])
    expect(denial?.denial).toEqual({
      denial_id: (error as PolicyDeniedError).entryId,
      principal: 'spiffe://deny.test/service',
      operation: 'refused',
      code: 'ERR_KEST_DENIED',
      policies: ['yes', 'no'],
      parents: [first.entry.hash],
      trace_id: first.entry.entry.labels[LABEL.traceId],
      n: expect.stringMatching(/^[0-9a-f-]{36}:1$/),
      timestamp_ms: 1_790_000_000_000,
    })
    await expect(verifyDenial(denial as never, [trust])).resolves.toMatchObject({ keySource: 'keys' })
    expect(exporter.getFinishedSpans().at(-1)?.attributes).toMatchObject({ [ATTRIBUTE.decision]: 'deny' })
  })

  it('K-DENIAL is in no passport, in no frame and nobody’s parent, and takes no number of an entry', async () => {
    const { kest, denials } = setUp()
    const first = await kest.begin(root)
    const state = first.enter()
    await expect(kest.begin(refused, { state })).rejects.toThrow(PolicyDeniedError)
    const next = await kest.begin({ operation: 'next', policy: 'yes' }, { state })
    expect(next.entry.entry.parent_ids).toEqual([first.entry.hash])
    expect(next.passport.entries).toEqual([first.entry.jws, next.entry.jws])
    const [process] = (first.entry.entry.labels[LABEL.seq] as string).split(':')
    expect(next.entry.entry.labels[LABEL.seq]).toBe(`${process}:2`)
    expect(denials()[0]?.denial.n).not.toContain(process)
  })

  it('K-DENIAL of what would have begun lineage states neither parents nor a trace', async () => {
    const { kest, denials } = setUp()
    await expect(kest.begin({ ...refused, origin: 'internet' })).rejects.toThrow(PolicyDeniedError)
    expect(denials()[0]?.denial).toMatchObject({ parents: [], trace_id: null })
  })

  it.each([
    ['full', true],
    ['tip', true],
    ['off', false],
  ] as const)('K-DENIAL states only what was verified: in mode %s that is %s', async (mode, isVerified) => {
    const { headers, trust: callers } = await buildPassport([{ by: 'caller' }])
    const { kest, denials } = setUp({ trust: callers, identity: new MockIdentityProvider('service') })
    const state = await kest.extract(headers, { mode })
    await expect(kest.begin(refused, { state })).rejects.toThrow(PolicyDeniedError)
    expect(denials()[0]?.denial.parents).toHaveLength(isVerified ? 1 : 0)
    expect(denials()[0]?.denial.trace_id === null).toBe(!isVerified)
  })

  it('K-DENIAL says why, also where no policy did it', async () => {
    const { kest, denials } = setUp()
    await expect(kest.begin({ operation: 'lost', policy: 'yes' })).rejects.toMatchObject({
      code: 'ERR_KEST_LINEAGE_MISSING',
    })
    expect(denials()[0]?.denial).toMatchObject({
      operation: 'lost',
      code: 'ERR_KEST_LINEAGE_MISSING',
      policies: [],
    })
  })

  it('K-DENIAL K-ORDER a key that is not in this process signs none', async () => {
    let used = 0
    const remote = signing({
      local: false,
      sign: (input) => {
        used++
        return identity.current().sign(input)
      },
    })
    const { kest, exporter, denials } = setUp({ identity: remote })
    await expect(kest.begin({ ...refused, origin: 'system' })).rejects.toThrow(PolicyDeniedError)
    expect([used, denials()]).toEqual([0, []])
    expect(exporter.getFinishedSpans()[0]?.attributes).toMatchObject({ [ATTRIBUTE.decision]: 'deny' })
  })

  it('K-DENIAL is what it was with denials: "unsigned"', async () => {
    const { kest, exporter, denials } = setUp({ denials: 'unsigned' })
    await expect(kest.begin({ ...refused, origin: 'system' })).rejects.toThrow(PolicyDeniedError)
    expect(denials()).toEqual([])
    expect(exporter.getFinishedSpans()[0]?.attributes).toMatchObject({ [ATTRIBUTE.decision]: 'deny' })
    for (const wrong of ['off', true, null])
      expect(() => setUp({ denials: wrong as never })).toThrow(KestConfigError)
  })

  it('K-DENIAL uses no key where nobody is to have it', async () => {
    let used = 0
    const counting = signing({
      sign: (input) => {
        used++
        return identity.current().sign(input)
      },
    })
    const { kest } = setUp({ identity: counting, telemetry: {} })
    await expect(kest.begin({ ...refused, origin: 'system' })).rejects.toThrow(PolicyDeniedError)
    expect(used).toBe(0)
  })

  it('K-DENIAL waits for a local signer that takes its time', async () => {
    const late = signing({ sign: async (input) => await identity.current().sign(input) })
    const { kest, denials } = setUp({ identity: late })
    await expect(kest.begin({ ...refused, origin: 'system' })).rejects.toThrow(PolicyDeniedError)
    expect(denials()).toHaveLength(1)
  })

  it('K-DENIAL a signer that fails changes nothing of the refusal, is told of, and counted in the next', async () => {
    let fails = true
    const failing = signing({
      sign: (input) => {
        if (fails) throw new Error('no key now')
        return identity.current().sign(input)
      },
    })
    const { kest, denials, logger } = setUp({ identity: failing })
    await expect(kest.begin({ ...refused, origin: 'system' })).rejects.toMatchObject({
      code: 'ERR_KEST_DENIED',
    })
    expect(denials()).toEqual([])
    expect(JSON.stringify(logger.records)).toContain('a denial could not be signed')
    fails = false
    await expect(kest.begin({ ...refused, origin: 'system' })).rejects.toThrow(PolicyDeniedError)
    expect(denials()[0]?.denial).toMatchObject({ unsigned: 1 })
  })

  it('K-DENIAL none of whoever left: nobody has refused that', async () => {
    const { kest, denials } = setUp()
    const leaving = { isGone: () => true }
    await expect(kest.begin(root, leaving)).rejects.toMatchObject({ code: 'ERR_KEST_ABORTED' })
    expect(denials()).toEqual([])
  })
})
