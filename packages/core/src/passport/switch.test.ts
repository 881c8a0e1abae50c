import { describe, expect, it } from 'vitest'
import { chain, type Labels, type Step, strings, trustIn, verdict } from '../../tests/support/signed.js'
import type { IdentityAuthority } from '../trust/identity-authorities.js'
import { Passport } from './passport.js'
import type { VerifiedPassport } from './verified-passport.js'
import { verifyPassport } from './verify.js'
import type { VerifyOptions } from './verify-options.js'

const trust = trustIn('hop1', 'hop2', 'hop3')
const id = (name: string): string => `spiffe://kest.test/${name}`
const roots = [{ workload: id('hop1'), ceiling: 100, identity: true }]
const peer = { runtime: { name: 'kest-python', version: '0.3.0' } }

function verify(steps: readonly Step[], options: Partial<VerifyOptions> = {}): Promise<VerifiedPassport> {
  return verifyPassport(new Passport(strings(chain(...steps))), { trust, roots, ...options })
}

interface Who {
  readonly user?: string
  readonly agent?: string
  readonly task?: string
}
const who = ({ user = null, agent = null, task = null }: { [Part in keyof Who]?: string | null }) => ({
  agent,
  task,
  user,
})
const says = (identity: Who): Labels => ({ 'kest.identity': JSON.stringify(who(identity)) })
const states = (identity: Who): Labels => ({ ...says(identity), 'kest.identity_stated': 'true' })
const alice = { labels: says({ user: 'alice', agent: 'web' }) }
const kinds = ({ findings }: VerifiedPassport) => findings.map(({ kind, code, index }) => [kind, code, index])
const switched = (index: number) => [['identity-switched', 'ERR_KEST_IDENTITY_CONFLICT', index]]
const may = (...identityAuthorities: readonly IdentityAuthority[]) => ({ identityAuthorities })

describe('K-SWITCH statements', () => {
  it('K-SWITCH by who is no authority leave nobody, with a taint and a finding, for all that follows', async () => {
    const steps = [alice, { by: 'hop2', labels: states({ user: 'admin' }) }, { by: 'hop3' }]
    const verified = await verify(steps)
    expect(verified).toMatchObject({ identity: null, identityBy: null, taints: ['kest.identity-switched'] })
    expect(verified.claimedIdentity).toEqual(who({ user: 'admin', agent: 'web' }))
    expect(kinds(verified)).toEqual(switched(1))
    const enforced = verify(steps, { semantics: 'enforce' })
    expect(await verdict(enforced)).toMatchObject({ code: 'ERR_KEST_IDENTITY_CONFLICT', index: 1 })
  })

  it('K-SWITCH leave nobody also where it is not marked as a statement, by whatever implementation', async () => {
    for (const runtime of [{}, peer]) {
      const admin = { by: 'hop2', labels: says({ user: 'admin' }), ...runtime }
      const verified = await verify([alice, admin])
      expect(verified).toMatchObject({ identity: null, taints: ['kest.identity-switched'] })
      expect(kinds(verified)).toEqual(switched(1))
    }
  })

  it('K-SWITCH of somebody where the lineage names nobody are statements too', async () => {
    const verified = await verify([{}, { by: 'hop2', labels: states({ user: 'admin' }) }])
    expect(verified.identity).toBeNull()
    expect(kinds(verified)).toEqual(switched(1))
  })

  it('K-SWITCH by an authority count, and say who stated them', async () => {
    const steps = [alice, { by: 'hop2', labels: states({ user: 'bob' }) }, { by: 'hop3' }]
    const verified = await verify(steps, may(id('hop2')))
    // Parts of two identities are not mixed: what an authority leaves out is nobody.
    expect(verified).toMatchObject({ identity: who({ user: 'bob' }), identityBy: id('hop2'), findings: [] })
    const rule = (principal: string) => principal === id('hop2')
    expect(await verify(steps, { identityAuthorities: rule })).toMatchObject({ identityBy: id('hop2') })
  })

  it('K-SWITCH by an authority for some parts count for those alone', async () => {
    const agents = may({ principal: id('hop2'), parts: ['agent', 'task'] })
    const planner = { by: 'hop2', labels: states({ user: 'alice', agent: 'planner', task: 't1' }) }
    const verified = await verify([alice, planner], agents)
    expect(verified.identity).toEqual(who({ user: 'alice', agent: 'planner', task: 't1' }))
    expect(verified.identityBy).toBe(id('hop2'))
    // A user whom it leaves out is inherited, and one whom it names is switched.
    const silent = { by: 'hop2', labels: states({ agent: 'planner' }) }
    expect((await verify([alice, silent], agents)).identity).toEqual(who({ user: 'alice', agent: 'planner' }))
    const other = { by: 'hop2', labels: states({ user: 'bob', agent: 'planner' }) }
    expect(kinds(await verify([alice, other], agents))).toEqual(switched(1))
  })

  it('K-SWITCH that equal what is inherited count from anybody, and stay who stated them first', async () => {
    const again = { by: 'hop2', labels: states({ user: 'alice', agent: 'web' }) }
    const verified = await verify([alice, again])
    expect(verified).toMatchObject({ identityBy: id('hop1'), findings: [], taints: [] })
    // A part that is null states nothing.
    const less = await verify([alice, { by: 'hop2', labels: states({ user: 'alice' }) }])
    expect(less).toMatchObject({ identity: who({ user: 'alice', agent: 'web' }), findings: [] })
  })

  it('K-SWITCH come back from nobody only by an authority', async () => {
    const admin = { by: 'hop2', labels: states({ user: 'admin' }) }
    const restored = [alice, admin, { by: 'hop3', labels: states({ user: 'alice' }) }]
    expect(kinds(await verify(restored))).toEqual([...switched(1), ...switched(2)])
    const verified = await verify(restored, may(id('hop3')))
    expect(verified).toMatchObject({ identity: who({ user: 'alice' }), identityBy: id('hop3') })
    expect(verified.taints).toEqual(['kest.identity-switched'])
  })
})

describe('K-SWITCH labels that state nothing', () => {
  it('K-SWITCH inherit: a copy of what was claimed, where the reader does not take it from who claimed it', async () => {
    const silent = [{ workload: id('hop1'), ceiling: 100 }]
    for (const runtime of [{}, peer]) {
      const verified = await verify([alice, { by: 'hop2', ...alice, ...runtime }], { roots: silent })
      expect(verified).toMatchObject({ identity: null, findings: [], taints: [] })
    }
    const admin = { by: 'hop2', labels: states({ user: 'admin' }) }
    const copied = { by: 'hop3', labels: says({ user: 'admin' }), ...peer }
    expect(kinds(await verify([alice, admin, copied]))).toEqual(switched(1))
  })

  it('K-SWITCH inherit: a token’s part beside the lineage’s, which binds the process that validated it alone', async () => {
    const united = { by: 'hop2', labels: says({ user: 'alice', agent: 'web', task: 'pay' }) }
    const verified = await verify([alice, united])
    expect(verified).toMatchObject({ identity: who({ user: 'alice', agent: 'web' }), findings: [] })
    expect(verified.claimedIdentity).toEqual(who({ user: 'alice', agent: 'web', task: 'pay' }))
  })

  it('K-SWITCH inherit: a peer’s label that differs only in what it leaves open', async () => {
    const verified = await verify([alice, { by: 'hop2', labels: says({ user: 'alice' }), ...peer }])
    expect(verified).toMatchObject({ identity: who({ user: 'alice', agent: 'web' }), findings: [] })
  })

  it('K-SWITCH a mark that is not "true" marks nothing', async () => {
    const labels = { ...says({ user: 'alice', agent: 'web', task: 'pay' }), 'kest.identity_stated': '1' }
    const verified = await verify([alice, { by: 'hop2', labels }], may(id('hop2')))
    expect(verified.identity).toEqual(who({ user: 'alice', agent: 'web' }))
  })
})

describe('K-SWITCH parents', () => {
  const joined = async (first: Labels, second: Labels, more: Step = {}) => {
    const both = [{ workload: id('*'), ceiling: 100, identity: true }]
    const begun = chain({ labels: first }, { by: 'hop2', parent_ids: ['0'], labels: second })
    const child = chain({ by: 'hop3', parent_ids: begun.map(({ hash }) => hash), ...more })
    return verifyPassport(new Passport(strings([...begun, ...child])), { trust, roots: both })
  }

  it('K-SWITCH that disagree in a part leave that part to nobody, with a finding', async () => {
    const verified = await joined(
      says({ user: 'alice', agent: 'web' }),
      says({ user: 'alice', agent: 'cli', task: 't' }),
    )
    expect(verified).toMatchObject({ identity: who({ user: 'alice' }), identityBy: id('hop1') })
    expect(kinds(verified)).toEqual([['identity-conflict', 'ERR_KEST_IDENTITY_CONFLICT', 2]])
    const apart = await joined(says({ user: 'alice' }), says({ user: 'bob' }))
    expect(apart).toMatchObject({ identity: null, identityBy: null })
  })

  it('K-SWITCH of which one says and another does not disagree', async () => {
    const verified = await joined(says({ user: 'alice' }), {})
    expect(verified.identity).toBeNull()
    expect(kinds(verified)).toHaveLength(1)
  })

  it('K-SWITCH that agree are inherited without a finding', async () => {
    const verified = await joined(says({ user: 'alice' }), says({ user: 'alice' }))
    expect(verified).toMatchObject({ identity: who({ user: 'alice' }), findings: [] })
  })
})

describe('K-SWITCH identityAuthorities', () => {
  it.each([
    ['a name alone', 'spiffe://kest.test/hop2'],
    ['an empty name', ['']],
    ['no parts', [{ principal: 'a' }]],
    ['an empty list of parts', [{ principal: 'a', parts: [] }]],
    ['an unknown part', [{ principal: 'a', parts: ['role'] }]],
    ['an unknown member', [{ principal: 'a', parts: ['user'], domain: 'x' }]],
  ])('K-SWITCH refuse %s', async (_, identityAuthorities) => {
    const options = { identityAuthorities } as unknown as Partial<VerifyOptions>
    await expect(verify([{}], options)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })

  it('K-SWITCH say, without a list, whose roots may state an identity: by default all', async () => {
    const begun = [{ by: 'hop2', labels: says({ user: 'bob' }) }]
    const none = (options: Partial<VerifyOptions>) =>
      verifyPassport(new Passport(strings(chain(...begun))), { trust, ...options })
    expect((await none({})).identityBy).toBe(id('hop2'))
    expect((await none(may(id('hop1')))).identity).toBeNull()
    expect((await none(may(id('hop2')))).identityBy).toBe(id('hop2'))
  })
})
