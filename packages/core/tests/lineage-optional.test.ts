import { generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import type { KestState } from '../src/context/state.js'
import { LABEL } from '../src/entry/entry.js'
import type { OperationOptions } from '../src/hook/operation-options.js'
import { FakeClock } from '../src/testing/fake-clock.js'
import { id, ROOTS, sends, service, step } from './support/services.js'

const OPTIONAL = { lineage: 'optional' } as const
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const token = {
  jwks: { keys: [publicKey.export({ format: 'jwk' })] },
  issuer: 'https://idp.test',
  audience: 'me',
}

async function bearer(sub: string): Promise<Record<string, string>> {
  const jwt = new SignJWT({ sub, iss: token.issuer, aud: token.audience, exp: Date.now() + 3_600 })
  return { authorization: `Bearer ${await jwt.setProtectedHeader({ alg: 'EdDSA' }).sign(privateKey)}` }
}

/** What an operation could say to be more than it is. */
const RAISING: Partial<OperationOptions> = {
  origin: 'internal',
  trustOverride: 100,
  user: 'admin',
  agent: 'planner',
  task: 'all',
  sanitizer: true,
  removedTaints: ['pii'],
}

describe('a listener where lineage is optional', () => {
  it('K-OPTIONAL lets in what brings none, as a root that is worth nothing', async () => {
    const reader = service('reader')
    const state = await reader.kest.extract({ baggage: 'tenant=7' }, OPTIONAL)
    expect(state).toMatchObject({ origin: 'kest.unproven', identity: null })
    const { entry } = await reader.kest.begin(step(), { state })
    expect(entry).toMatchObject({ trustScore: 0, taints: ['kest.unproven'], identity: null })
    expect(entry.entry).toMatchObject({
      parent_ids: ['0'],
      trust_score: 0,
      added_taints: ['kest.unproven'],
      taints: ['kest.unproven'],
    })
    expect(reader.engine.requests.at(-1)?.context).toMatchObject({
      trust_score: 0,
      subject: { taints: ['kest.unproven'], user: null },
      environment: { is_root: true, source_type: 'kest.unproven' },
    })
    // It needs no listing, and nobody is warned that it has none.
    expect(reader.warnings()).toEqual([])
  })

  it.each([
    ['nothing', undefined],
    ['an empty header', ''],
    ['what is of others', 'tenant=7;ttl=1,region=eu'],
  ])('K-OPTIONAL takes %s as none', async (_, baggage) => {
    const state = await service('reader').kest.extract(baggage === undefined ? {} : { baggage }, OPTIONAL)
    expect(state.origin).toBe('kest.unproven')
  })

  it.each([
    ['an empty passport', 'kest.passport=%5B%5D', 'ERR_KEST_LINEAGE_MISSING'],
    ['a tip without its passport', `kest.chain_tip=${'a'.repeat(64)}`, 'ERR_KEST_TIP'],
    ['a user alone', 'kest.user=alice', 'ERR_KEST_LINEAGE_MISSING'],
    ['a token in baggage', 'kest.jwt=x', 'ERR_KEST_LINEAGE_MISSING'],
    ['a member of Kest that there is not', 'kest.other=1', 'ERR_KEST_LINEAGE_MISSING'],
    ['a member that is spelled otherwise', 'KEST.passport=%5B%5D', 'ERR_KEST_BAGGAGE'],
    ['what is no passport', 'kest.passport=%7B%7D', 'ERR_KEST_PASSPORT_MALFORMED'],
  ])('K-OPTIONAL judges %s as ever, and refuses it', async (_, baggage, code) => {
    await expect(service('reader').kest.extract({ baggage }, OPTIONAL)).rejects.toMatchObject({ code })
  })

  it('K-OPTIONAL judges lineage that comes as ever', async () => {
    const headers = await sends(service('edge'), { origin: 'user_input', user: 'alice' })
    const reader = service('reader')
    const state = await reader.kest.extract(headers, OPTIONAL)
    expect(state).toMatchObject({ origin: null, identity: { context: { user: 'alice' } } })
    const { entry } = await reader.kest.begin(step(), { state })
    expect(entry).toMatchObject({ trustScore: 40, taints: [] })
    const tampered = {
      baggage: (headers['baggage'] as string).replace(/(?<=kest\.chain_tip=)\w+/, 'a'.repeat(64)),
    }
    await expect(reader.kest.extract(tampered, OPTIONAL)).rejects.toMatchObject({ code: 'ERR_KEST_TIP' })
  })

  it('K-OPTIONAL is refused where it means nothing, and what it is not', () => {
    const { kest } = service('reader')
    expect(() => kest.listener({ origin: 'internet', lineage: 'optional' })).toThrow(
      /means nothing at an edge/,
    )
    const partner = { origin: 'internet', acceptLineage: true, binding: 'mtls', lineage: 'required' } as const
    expect(() => kest.listener(partner)).toThrow(/lineage: means nothing at an edge/)
    const other = { lineage: 'none' as 'optional' }
    expect(() => kest.listener(other)).toThrow(/lineage: expected one of required, optional/)
  })

  it('K-OPTIONAL lets a passport that was kept not be none', async () => {
    const { kest } = service('reader')
    const resumed = kest.resume({ passport: [] }, OPTIONAL)
    await expect(resumed).rejects.toMatchObject({ code: 'ERR_KEST_LINEAGE_MISSING' })
  })
})

describe('a request that came without lineage', () => {
  const generous = { trustEvaluator: { calculate: () => 100 } }
  const unproven = async (reader: ReturnType<typeof service>) => reader.kest.extract({}, OPTIONAL)

  it.each<[string, Partial<OperationOptions>]>([
    ['an origin of its own', { origin: 'internal' }],
    ['a trustOverride', { trustOverride: 100 }],
    ['a sanitizer', { sanitizer: true, removedTaints: ['pii'] }],
    ['a user', { user: 'admin' }],
    ['an agent and a task', { agent: 'planner', task: 'all' }],
    ['all of them', RAISING],
  ])('K-OPTIONAL is worth nothing in an operation with %s, first or later', async (_, more) => {
    const reader = service('reader', ROOTS, new FakeClock(), generous)
    const state = await unproven(reader)
    const first = await reader.kest.begin(step(more), { state })
    const inside = await reader.kest.begin(step(more), { state: first.enter() })
    inside.enter()
    inside.settle()
    first.settle()
    const later = await reader.kest.begin(step(more), { state })
    for (const { entry } of [first, inside, later]) {
      expect(entry).toMatchObject({ trustScore: 0, taints: ['kest.unproven'], identity: null })
      expect(entry.entry).toMatchObject({ trust_score: 0, taints: ['kest.unproven'] })
      expect(entry.entry.labels[LABEL.identity]).toBeUndefined()
    }
    for (const { context } of reader.engine.requests) {
      expect(context).toMatchObject({ trust_score: 0, subject: { user: null, agent: null, task: null } })
    }
    expect(reader.engine.requests[0]?.context.environment.source_type).toBe('kest.unproven')
  })

  it('K-OPTIONAL makes roots of operations side by side, and each is worth nothing', async () => {
    const reader = service('reader')
    const state = await unproven(reader)
    const both = await Promise.all([
      reader.kest.begin(step(RAISING), { state }),
      reader.kest.begin(step(), { state }),
    ])
    for (const { entry } of both) {
      expect(entry).toMatchObject({ trustScore: 0, taints: ['kest.unproven'] })
      expect(entry.entry.parent_ids).toEqual(['0'])
    }
  })

  it('K-OPTIONAL is for the next service what it was here, and no evaluator there makes a claim of it', async () => {
    const headers = await sends(service('hop2'), RAISING, await unproven(service('hop2')))
    const reader = service('reader', ROOTS, new FakeClock(), generous)
    const state = await reader.kest.extract(headers)
    expect(reader.warnings()).toEqual([])
    expect(state.identity).toBeNull()
    const { entry } = await reader.kest.begin(step({ trustOverride: 100 }), { state })
    expect(entry).toMatchObject({ trustScore: 0, taints: ['kest.unproven'] })
    expect(entry.entry).toMatchObject({ trust_score: 0, taints: ['kest.unproven'] })
    expect(entry.plain).toEqual({ trustScore: 0, taints: ['kest.unproven'] })
  })

  it('K-OPTIONAL has the identity of its token here, and with others that of a list', async () => {
    const clock = new FakeClock(Date.now())
    const reader = service('reader', ROOTS, clock)
    const options = { ...OPTIONAL, token }
    const state = await reader.kest.extract(await bearer('alice'), options)
    const { entry, state: inside } = await reader.kest.begin(step({ user: 'admin' }), { state })
    expect(entry.identity).toMatchObject({ user: 'alice' })
    expect(inside.identity).toMatchObject({ context: { user: 'alice' } })
    expect(reader.engine.requests.at(-1)?.context.subject).toMatchObject({
      user: 'alice',
      identity_by: id('reader'),
      trust_score: 0,
    })
    const headers = await sends(reader, {}, await reader.kest.extract(await bearer('alice'), options))
    const next = async (deployment: string): Promise<KestState> =>
      service('hop2', deployment, clock).kest.extract({ ...headers })
    expect((await next(ROOTS)).identity).toBeNull()
    const listed = `${ROOTS}  - { workload: ${id('reader')}, ceiling: 0, identity: true }\n`
    expect((await next(listed)).identity).toMatchObject({ context: { user: 'alice' }, by: id('reader') })
  })
})
