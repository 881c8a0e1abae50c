import { describe, expect, it } from 'vitest'
import type { KestDenial } from '../denial/denial.js'
import { parseDenial } from '../denial/parse.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { Signer } from '../identity/provider.js'
import { DEFAULT_LIMITS } from '../limits.js'
import type { DenialFacts } from './denial-facts.js'
import { Denials } from './denials.js'

const signer = new MockIdentityProvider('service').current()
const other = new MockIdentityProvider('other').current()
const facts: DenialFacts = {
  denial_id: '01a0c450-0000-7000-8000-000000000000',
  operation: 'read',
  code: 'ERR_KEST_DENIED',
  policies: ['orders/read'],
  parents: [],
  trace_id: null,
  timestamp_ms: 1,
}

/** Denials by a clock that stands until it is moved, and what failed. */
function setUp(start = 0) {
  const clock = { now: start }
  const denials = new Denials(() => clock.now)
  const failures: unknown[] = []
  const options = {
    limits: DEFAULT_LIMITS,
    timeoutMs: 60_000,
    failed: (error: unknown) => failures.push(error),
  }
  const sign = async (by: Signer = signer): Promise<KestDenial | undefined> => {
    const jws = await denials.sign(facts, by, options)
    return jws === undefined ? undefined : parseDenial(jws).denial
  }
  return { clock, denials, failures, sign, options }
}

const numberOf = (denial: KestDenial | undefined): number => Number(denial?.n.split(':')[1])
const processOf = (denial: KestDenial | undefined): string | undefined => denial?.n.split(':')[0]

describe('K-DENIAL signing', () => {
  it('K-DENIAL numbers them from 1, per principal and process, each under a uuid of its own', async () => {
    const { sign } = setUp()
    const [first, second, others] = [await sign(), await sign(), await sign(other)]
    expect([first, second, others].map(numberOf)).toEqual([1, 2, 1])
    expect(processOf(second)).toBe(processOf(first))
    expect(processOf(others)).not.toBe(processOf(first))
    expect(processOf(await setUp().sign())).not.toBe(processOf(first))
  })

  it('K-DENIAL 10,000 refused requests within a second have 200 signatures, and the next counts the rest', async () => {
    let used = 0
    const counting: Signer = {
      workloadId: signer.workloadId,
      header: signer.header,
      local: true,
      sign: (input) => {
        used++
        return signer.sign(input)
      },
    }
    const { clock, sign } = setUp(5_000)
    for (let i = 0; i < 10_000; i++) {
      await sign(counting)
      clock.now += 0.0999
    }
    expect(used).toBe(200)
    clock.now = 6_100
    const next = await sign(counting)
    expect(next).toMatchObject({ unsigned: 9_800 })
    expect(numberOf(next)).toBe(201)
    expect(await sign(counting)).not.toHaveProperty('unsigned')
  })

  it('K-DENIAL signs no more than 200 in any second, wherever it begins', async () => {
    const { clock, sign } = setUp()
    const signed: number[] = []
    for (let i = 0; i < 6_000; i++) {
      if ((await sign()) !== undefined) signed.push(clock.now)
      clock.now += 1 + (i % 3)
    }
    const apart = signed.slice(200).map((at, i) => at - (signed[i] as number))
    expect(apart.length).toBeGreaterThan(1_000)
    expect(Math.min(...apart)).toBeGreaterThanOrEqual(1_000)
  })

  it('K-DENIAL counts those of each principal by themselves', async () => {
    const { clock, sign } = setUp()
    for (let i = 0; i < 200; i++) await sign()
    expect(await sign()).toBeUndefined()
    clock.now += 1_000
    expect(await sign(other)).not.toHaveProperty('unsigned')
    expect(await sign()).toMatchObject({ unsigned: 1 })
  })

  it.each<[string, Signer['sign']]>([
    [
      'throws',
      () => {
        throw new Error('no key')
      },
    ],
    ['answers no signature', () => new Uint8Array(3)],
    ['rejects', () => Promise.reject(new Error('no key'))],
  ])(
    'K-DENIAL a signer that %s makes no gap: its number goes to the next, which counts it',
    async (_, fails) => {
      const { sign, failures } = setUp()
      expect(numberOf(await sign())).toBe(1)
      const failing: Signer = {
        workloadId: signer.workloadId,
        header: signer.header,
        local: true,
        sign: fails,
      }
      expect(await sign(failing)).toBeUndefined()
      expect(failures).toHaveLength(1)
      const next = await sign()
      expect(numberOf(next)).toBe(2)
      expect(next).toMatchObject({ unsigned: 1 })
    },
  )

  it('K-DENIAL one that would be larger than an entry may be is counted, and not signed', async () => {
    const { denials, failures, options, sign } = setUp()
    const large = { ...facts, policies: ['a'.repeat(DEFAULT_LIMITS.entryBytes)] }
    expect(denials.sign(large, signer, options)).toBeUndefined()
    expect(failures).toMatchObject([{ code: 'ERR_KEST_LIMIT' }])
    expect(await sign()).toMatchObject({ unsigned: 1 })
  })
})
