import { describe, expect, it } from 'vitest'
import { chain, type Labels, type Step, strings, trustIn, verdict } from '../../tests/support/signed.js'
import type { RootRule } from '../trust/root-list.js'
import { Passport } from './passport.js'
import type { VerifiedPassport } from './verified-passport.js'
import { verifyPassport } from './verify.js'
import type { VerifyOptions } from './verify-options.js'

const trust = trustIn('hop1', 'hop2', 'hop3')
const id = (name: string): string => `spiffe://kest.test/${name}`
const edge: RootRule = { workload: id('hop1'), ceiling: 40, identity: true }
const alice = { user: 'alice', agent: null, task: null }

function verify(steps: readonly Step[], options: Partial<VerifyOptions> = {}): Promise<VerifiedPassport> {
  const passport = new Passport(strings(chain(...steps)))
  return verifyPassport(passport, { trust, roots: [edge], ...options })
}

const kinds = ({ findings }: VerifiedPassport) => findings.map(({ kind, index }) => [kind, index])
const says = (user: string, more: Labels = {}): Labels => ({
  'kest.identity': JSON.stringify({ agent: null, task: null, user }),
  ...more,
})
const override = (score: number): Labels => ({ 'kest.trust_override': String(score) })

describe('K-ROOTS who may begin lineage', () => {
  it('K-ROOTS lowers a listed root to its ceiling, and all that follows, which is no finding', async () => {
    const verified = await verify([{ trust_score: 100 }, { by: 'hop2', trust_score: 100 }])
    expect(verified.entries.map(({ trustScore }) => trustScore)).toEqual([40, 40])
    expect(verified).toMatchObject({ trustScore: 40, taints: [], findings: [] })
    expect((await verify([{ trust_score: 10 }])).trustScore).toBe(10)
  })

  it('K-ROOTS lets K-DOMAIN’s ceiling hold as well', async () => {
    const ceilings = (who: string): number | undefined => (who === id('hop1') ? 20 : undefined)
    expect((await verify([{}, { by: 'hop2' }], { ceilings })).trustScore).toBe(20)
  })

  it('K-ROOTS gives a root of anybody else no trust, a taint, and no identity', async () => {
    const verified = await verify([
      { by: 'hop2', labels: says('alice') },
      { by: 'hop3', trust_score: 100 },
    ])
    expect(verified).toMatchObject({
      trustScore: 0,
      taints: ['kest.unlisted-root'],
      identity: null,
      identityBy: null,
      claimedIdentity: alice,
    })
    expect(kinds(verified)).toEqual([['unlisted-root', 0]])
    expect(verified.findings[0]).toMatchObject({ code: 'ERR_KEST_ROOT' })
  })

  it('K-ROOTS refuses it where semantics are enforced', async () => {
    const refused = verify([{ by: 'hop2' }, { by: 'hop3' }], { semantics: 'enforce' })
    expect(await verdict(refused)).toMatchObject({ code: 'ERR_KEST_ROOT', index: 0 })
    const empty = verify([{}], { roots: [], semantics: 'enforce' })
    expect(await verdict(empty)).toMatchObject({ code: 'ERR_KEST_ROOT', index: 0 })
  })

  it('K-ROOTS one unlisted root among several takes all trust from what joins them', async () => {
    const roots = chain({}, { by: 'hop2', parent_ids: ['0'] })
    const child = chain({ by: 'hop3', parent_ids: roots.map(({ hash }) => hash) })
    const passport = new Passport(strings([...roots, ...child]))
    const verified = await verifyPassport(passport, { trust, roots: [edge] })
    expect(verified).toMatchObject({ trustScore: 0, taints: ['kest.unlisted-root'] })
  })

  it('K-ROOTS takes an identity from a listed root only if the list lets it state one', async () => {
    expect(await verify([{ labels: says('alice') }])).toMatchObject({ identity: alice, findings: [] })
    const silent = { ...edge, identity: false }
    expect(await verify([{ labels: says('alice') }, { by: 'hop2' }], { roots: [silent] })).toMatchObject({
      identity: null,
      claimedIdentity: alice,
      findings: [],
      trustScore: 40,
    })
  })

  it('K-ROOTS lets nobody remove the taint', async () => {
    const labels = { 'kest.sanitizer': 'true', ...override(0) }
    const removed_taints = ['kest.unlisted-root']
    const verified = await verify([{ by: 'hop2' }, { by: 'hop3', trust_score: 0, labels, removed_taints }])
    expect(verified.taints).toEqual(['kest.unlisted-root'])
  })

  it('K-ROOTS mode tip proves no root, and is refused beside a list', async () => {
    await expect(verify([{}], { mode: 'tip' })).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })
})

describe('K-ROOTS raises', () => {
  it('K-ROOTS do not count over an unlisted root, and are no finding there: other readers list others', async () => {
    const steps = [
      { by: 'hop2', trust_score: 10 },
      { by: 'hop3', trust_score: 100, labels: override(100) },
    ]
    const verified = await verify(steps)
    expect(verified.trustScore).toBe(0)
    expect(kinds(verified)).toEqual([['unlisted-root', 0]])
  })

  it('K-ROOTS do not count where an earlier reader has put the taint, whatever one’s own list says', async () => {
    const tainted = { taints: ['kest.unlisted-root'] }
    const steps = [
      { trust_score: 10 },
      { by: 'hop2', trust_score: 0, ...tainted },
      { by: 'hop3', trust_score: 100, ...tainted, labels: override(100) },
    ]
    for (const options of [{}, { roots: [{ ...edge, workload: id('*') }] }]) {
      const verified = await verifyPassport(new Passport(strings(chain(...steps))), { trust, ...options })
      expect(verified.trustScore).toBe(0)
      expect(kinds(verified)).toEqual([['trust-raised', 2]])
    }
  })

  it('K-ROOTS by a listed principal count at most to its ceiling, and never below what was there', async () => {
    const roots = [edge, { workload: id('hop2'), ceiling: 60 }]
    const raised = [{ trust_score: 10 }, { by: 'hop2', trust_score: 100, labels: override(100) }]
    expect(await verify(raised, { roots })).toMatchObject({ trustScore: 60, findings: [] })
    const higher = [
      { workload: id('hop1'), ceiling: 90 },
      { workload: id('hop2'), ceiling: 60 },
    ]
    const from80 = [{ trust_score: 80 }, { by: 'hop2', trust_score: 100, labels: override(100) }]
    expect((await verify(from80, { roots: higher })).trustScore).toBe(80)
  })

  it('K-ROOTS by a raiser that begins nothing count as ever (K-EFF)', async () => {
    const raised = [{ trust_score: 10 }, { by: 'hop2', trust_score: 70, labels: override(70) }]
    expect((await verify(raised)).trustScore).toBe(70)
    expect((await verify(raised, { raisers: [] })).trustScore).toBe(10)
  })
})

describe('K-ROOTS findings', () => {
  it('K-ROOTS measure claims without the reader’s lists: an honest hop is no liar by them', async () => {
    const honest = [
      { trust_score: 100 },
      { by: 'hop2', trust_score: 100, taints: ['pii'], added_taints: ['pii'] },
      { by: 'hop3', trust_score: 90, taints: ['pii'] },
    ]
    for (const roots of [[], [edge], [{ workload: id('hop2'), ceiling: 100 }]]) {
      const verified = await verify(honest, { roots })
      expect(verified.findings.filter(({ kind }) => kind !== 'unlisted-root')).toEqual([])
    }
  })

  it('K-ROOTS still tell who claims what no lineage gives', async () => {
    const lying = [{ trust_score: 30 }, { by: 'hop2', trust_score: 90 }]
    expect(kinds(await verify(lying))).toEqual([['trust-raised', 1]])
    const dropping = [{ taints: ['kest.unlisted-root'] }, { by: 'hop2' }]
    expect(kinds(await verify(dropping))).toEqual([['taint-dropped', 1]])
  })
})

describe('K-ROOTS lineage that is unproven', () => {
  const unproven = { trust_score: 0, taints: ['kest.unproven'], added_taints: ['kest.unproven'] }

  it('K-ROOTS needs no listing, and has no trust whatever it claims', async () => {
    expect(await verify([{ by: 'hop2', ...unproven }])).toMatchObject({
      trustScore: 0,
      taints: ['kest.unproven'],
      findings: [],
    })
    for (const roots of [[edge], [{ workload: id('hop2'), ceiling: 100 }]]) {
      const lying = await verify([{ by: 'hop2', ...unproven, trust_score: 100 }], { roots })
      expect(lying.trustScore).toBe(0)
      expect(kinds(lying)).toEqual([['trust-raised', 0]])
    }
  })

  it('K-ROOTS is raised by nobody, nor is its taint removed', async () => {
    const labels = { 'kest.sanitizer': 'true', ...override(100) }
    const raised = { by: 'hop1', trust_score: 100, labels, removed_taints: ['kest.unproven'] }
    const verified = await verify([{ by: 'hop2', ...unproven }, raised])
    expect(verified).toMatchObject({ trustScore: 0, taints: ['kest.unproven'] })
    expect(kinds(verified)).toEqual([
      ['taint-dropped', 1],
      ['trust-raised', 1],
    ])
  })
})

describe('K-RESERVED', () => {
  it('K-RESERVED an entry that removes a taint of Kest’s own removes nothing, and others as far as it may', async () => {
    const taints = ['kest.anything', 'pii']
    const steps = [
      { taints, added_taints: taints },
      { by: 'hop2', removed_taints: taints, labels: { 'kest.sanitizer': 'true' } },
    ]
    const verified = await verify(steps)
    expect(verified.taints).toEqual(['kest.anything'])
    expect(kinds(verified)).toEqual([['taint-dropped', 1]])
  })
})
