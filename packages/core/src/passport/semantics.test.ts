import { describe, expect, it } from 'vitest'
import { chain, type Labels, type Step, strings, trustIn, verdict } from '../../tests/support/signed.js'
import { Passport } from './passport.js'
import type { VerifiedPassport } from './verified-passport.js'
import { verifyPassport } from './verify.js'
import type { VerifyOptions } from './verify-options.js'

const trust = trustIn('hop1', 'hop2', 'hop3')
const id = (name: string): string => `spiffe://kest.test/${name}`
const raisers = [id('hop2')]

function verify(steps: readonly Step[], options: Partial<VerifyOptions> = {}): Promise<VerifiedPassport> {
  return verifyPassport(new Passport(strings(chain(...steps))), { trust, ...options })
}

/** Code and index of the findings; the same entry fails first when they are enforced. */
async function findings(steps: readonly Step[], options: Partial<VerifyOptions> = {}): Promise<unknown[]> {
  const list = (await verify(steps, options)).findings.map(({ code, index }) => [code, index])
  const enforced = verify(steps, { ...options, semantics: 'enforce' })
  if (list.length === 0) await enforced
  else {
    const { code, index } = await verdict(enforced)
    expect([code, index]).toEqual(list[0])
  }
  return list
}

const low = { trust_score: 10 }
const tainted = { taints: ['a', 'pii'], added_taints: ['a', 'pii'] }

describe('K-EFF trust', () => {
  it('is the least of what is claimed and of what the parents are worth', async () => {
    const falling = [{ trust_score: 90 }, { by: 'hop2', trust_score: 40 }, { by: 'hop3', trust_score: 30 }]
    expect((await verify(falling)).entries.map(({ trustScore }) => trustScore)).toEqual([90, 40, 30])
    expect(await findings(falling)).toEqual([])
  })

  it('is not raised by a mere claim, nor in what follows', async () => {
    const raised = [low, { by: 'hop2', trust_score: 80 }, { by: 'hop3', trust_score: 50 }]
    const verified = await verify(raised)
    expect(verified.trustScore).toBe(10)
    expect(verified.entries.map(({ trustScore }) => trustScore)).toEqual([10, 10, 10])
    expect(verified.findings[0]).toMatchObject({
      entryId: verified.entries[1]?.entry.entry_id,
      message: 'entry 1: claims trust 80; its lineage gives 10',
    })
    expect(await findings(raised)).toEqual([
      ['ERR_KEST_TRUST_RAISED', 1],
      ['ERR_KEST_TRUST_RAISED', 2],
    ])
  })

  const override = (by: string, label: string, trust_score = 100): Step => ({
    by,
    trust_score,
    labels: { 'kest.trust_override': label },
  })

  it('TC-05 F-TS-05 K-OVERRIDE is raised by an override on record, from who may', async () => {
    for (const options of [
      {},
      { raisers },
      { raisers: 'any' as const },
      { raisers: (who: string) => who === id('hop2') },
    ]) {
      expect((await verify([low, override('hop2', '100')], options)).trustScore).toBe(100)
      expect(await findings([low, override('hop2', '100')], options)).toEqual([])
    }
  })

  it('is not raised by an override from who may not', async () => {
    const steps = [low, override('hop3', '100')]
    for (const options of [{ raisers }, { raisers: [] }, { raisers: () => false }]) {
      expect((await verify(steps, options)).trustScore).toBe(10)
      expect(await findings(steps, options)).toEqual([['ERR_KEST_TRUST_RAISED', 1]])
    }
  })

  it('K-OVERRIDE is not raised by a label that does not say what is claimed', async () => {
    for (const label of ['99', '', 'true', '1e2', '0x64', '+100', ' 100', '100.0', '0100', 'Infinity']) {
      expect((await verify([low, override('hop2', label)])).trustScore).toBe(10)
    }
    // An override is clamped before it is claimed.
    expect((await verify([low, override('hop2', '250')])).trustScore).toBe(100)
    expect((await verify([low, override('hop2', '-5', 0)])).trustScore).toBe(0)
  })

  it('is the least of several parents’', async () => {
    const [one, two] = chain({ trust_score: 70 }, { trust_score: 20, parent_ids: ['0'] })
    const parent_ids = [one?.hash as string, two?.hash as string]
    const joined = chain({ trust_score: 70, parent_ids })
    const all = [one?.jws, two?.jws, joined[0]?.jws] as string[]
    const verified = await verifyPassport(new Passport(all), { trust })
    expect(verified.trustScore).toBe(20)
    expect(verified.findings.map(({ code, index }) => [code, index])).toEqual([['ERR_KEST_TRUST_RAISED', 2]])
  })

  it('of a passport is the least of its tips’', async () => {
    const verified = await verify([{ trust_score: 70 }, { trust_score: 20, parent_ids: ['0'] }])
    expect(verified.tips).toHaveLength(2)
    expect(verified.trustScore).toBe(20)
  })

  it('K-DOMAIN is at most the ceiling of its principal, raises included, and that is no finding', async () => {
    const ceilings = (who: string): number | undefined => (who === id('hop2') ? 60 : undefined)
    const steps = [{ trust_score: 90 }, { by: 'hop2', trust_score: 80 }, { by: 'hop3', trust_score: 60 }]
    const verified = await verify(steps, { ceilings })
    expect(verified.entries.map(({ trustScore }) => trustScore)).toEqual([90, 60, 60])
    expect(verified.findings).toEqual([])
    expect((await verify([low, override('hop2', '100')], { ceilings })).trustScore).toBe(60)
    expect((await verify([{ by: 'hop2', trust_score: 100 }], { ceilings })).trustScore).toBe(60)
    expect(
      (await verify([{ trust_score: 90 }, { by: 'hop2', trust_score: 95 }], { ceilings })).trustScore,
    ).toBe(60)
  })
})

describe('K-EFF taints', () => {
  it('F-AE-10 are what is claimed, added, and inherited', async () => {
    const steps = [tainted, { by: 'hop2', taints: ['a', 'b', 'pii'], added_taints: ['b'] }]
    expect((await verify(steps)).taints).toEqual(['a', 'b', 'pii'])
    expect(await findings(steps)).toEqual([])
    expect((await verify([{ taints: ['z', 'y'] }])).taints).toEqual(['y', 'z'])
  })

  it('are not dropped by leaving them out', async () => {
    const steps = [tainted, { by: 'hop2', taints: ['a'] }]
    const verified = await verify(steps)
    expect(verified.taints).toEqual(['a', 'pii'])
    expect(verified.findings[0]?.message).toBe('entry 1: does not claim "pii", which its lineage gives')
    expect(await findings(steps)).toEqual([['ERR_KEST_TAINT_DROPPED', 1]])
    expect(await findings([{ added_taints: ['a'] }])).toEqual([['ERR_KEST_TAINT_DROPPED', 0]])
  })

  it('F-TT-03 are not removed without a sanitizer or an override on record', async () => {
    const removing = { by: 'hop2', taints: ['a'], removed_taints: ['pii'] }
    for (const labels of [
      {},
      { 'kest.sanitizer': 'false' },
      { 'kest.sanitizer': '1' },
      { 'kest.trust_override': '7' },
    ]) {
      const steps = [tainted, { ...removing, labels }]
      expect((await verify(steps)).taints).toEqual(['a', 'pii'])
      expect(await findings(steps)).toEqual([['ERR_KEST_TAINT_DROPPED', 1]])
    }
  })

  it('F-TT-03 are removed by either, from who may, and by nobody else', async () => {
    for (const labels of [{ 'kest.sanitizer': 'true' }, { 'kest.trust_override': '100' }]) {
      const by = (name: string): Step[] => [
        tainted,
        { by: name, taints: ['a'], removed_taints: ['pii'], labels },
      ]
      expect((await verify(by('hop2'), { raisers })).taints).toEqual(['a'])
      expect(await findings(by('hop2'), { raisers })).toEqual([])
      expect((await verify(by('hop3'), { raisers })).taints).toEqual(['a', 'pii'])
      expect(await findings(by('hop3'), { raisers })).toEqual([['ERR_KEST_TAINT_DROPPED', 1]])
    }
  })

  it('are removed only as far as the entry says', async () => {
    const labels = { 'kest.sanitizer': 'true' }
    const steps = [tainted, { by: 'hop2', taints: [], removed_taints: ['pii'], labels }]
    expect((await verify(steps)).taints).toEqual(['a'])
    expect(await findings(steps)).toEqual([['ERR_KEST_TAINT_DROPPED', 1]])
  })
})

describe('K-IDENT identity', () => {
  const says = (user: string, agent: string | null = null): Labels => ({
    'kest.identity': JSON.stringify({ agent, task: null, user }),
  })
  const stated = { 'kest.identity_stated': 'true' }
  const alice = { user: 'alice', agent: null, task: null }

  it('is inherited, together with who stated it', async () => {
    const verified = await verify([{ labels: says('alice') }, { by: 'hop2' }, { by: 'hop3' }])
    expect(verified).toMatchObject({ identity: alice, identityBy: id('hop1'), findings: [] })
  })

  it('that is repeated, in whatever spelling, is still that of who stated it first', async () => {
    const spelled = { 'kest.identity': '{ "user": "alice" }' }
    const verified = await verify([{ labels: says('alice') }, { by: 'hop2', labels: spelled }])
    expect(verified).toMatchObject({ identity: alice, identityBy: id('hop1') })
  })

  it('K-SWITCH that an authority states is the authority’s', async () => {
    const steps = [
      { labels: says('alice') },
      { by: 'hop2', labels: { ...says('alice', 'bot'), ...stated } },
      { by: 'hop3' },
    ]
    const verified = await verify(steps, { identityAuthorities: [id('hop2')] })
    expect(verified).toMatchObject({ identity: { ...alice, agent: 'bot' }, identityBy: id('hop2') })
  })

  it('on which tips disagree is none, and a finding of the passport', async () => {
    const steps = [{ labels: says('alice') }, { by: 'hop2', parent_ids: ['0'], labels: says('bob') }]
    expect(await verify(steps)).toMatchObject({ identity: null, identityBy: null })
    expect(await findings(steps)).toEqual([['ERR_KEST_IDENTITY_CONFLICT', null]])
    const silent = [{ labels: says('alice') }, { by: 'hop2', parent_ids: ['0'] }]
    expect(await findings(silent)).toEqual([['ERR_KEST_IDENTITY_CONFLICT', null]])
  })

  it('K-SWITCH on which parents disagree is none, and a finding of the child, unless an authority says', async () => {
    const joined = async (second: Labels, labels: Labels = {}) => {
      const roots = chain({ labels: says('alice') }, { by: 'hop2', parent_ids: ['0'], labels: second })
      const child = chain({ by: 'hop3', parent_ids: roots.map(({ hash }) => hash), labels: labels })
      const all = new Passport(strings([...roots, ...child]))
      return verifyPassport(all, { trust, identityAuthorities: ['hop1', 'hop2', 'hop3'].map(id) })
    }
    const conflict = [{ kind: 'identity-conflict', code: 'ERR_KEST_IDENTITY_CONFLICT', index: 2 }]
    expect(await joined(says('bob'))).toMatchObject({ identity: null, identityBy: null, findings: conflict })
    expect(await joined({})).toMatchObject({ identity: null, findings: conflict })
    expect(await joined(says('alice'))).toMatchObject({
      identity: alice,
      identityBy: id('hop1'),
      findings: [],
    })
    expect(await joined(says('bob'), says('carol'))).toMatchObject({ identity: null, findings: conflict })
    expect(await joined(says('alice', 'bot'))).toMatchObject({ identity: alice, findings: conflict })
    expect(await joined(says('bob'), { ...says('carol'), ...stated })).toMatchObject({
      identity: { user: 'carol' },
      identityBy: id('hop3'),
      findings: [],
    })
  })
})

describe('K-TRACE', () => {
  const labels = { trace_id: 'b'.repeat(32) }

  it('finds a second trace id, at its entry, and then the passport has none', async () => {
    expect(await findings([{}, { by: 'hop2', labels }])).toEqual([['ERR_KEST_TRACE', 1]])
    expect((await verify([{}, { by: 'hop2', labels }])).traceId).toBeNull()
  })

  it('lets peers leave it out', async () => {
    const without = { labels: { trace_id: undefined } }
    const steps = [without, { by: 'hop2', labels }, { ...without, by: 'hop3' }]
    expect(await findings(steps)).toEqual([])
    expect((await verify(steps)).traceId).toBe('b'.repeat(32))
    expect((await verify([without])).traceId).toBeNull()
  })
})

describe('K-SEM', () => {
  it('enforced, throws the first difference in entry order, and after a signature of an earlier entry', async () => {
    const steps = [low, { by: 'hop2', trust_score: 80 }, { by: 'stranger' }]
    expect(await verdict(verify(steps, { semantics: 'enforce' }))).toMatchObject({
      code: 'ERR_KEST_TRUST_RAISED',
      index: 1,
    })
    expect(await verdict(verify(steps))).toMatchObject({ code: 'ERR_KEST_KEY_UNKNOWN', index: 2 })
    const [one, two] = strings(chain(low, { by: 'hop2', trust_score: 80 }))
    const forged = new Passport([one as string, `${two?.slice(0, -6)}AAAAAA`])
    const enforced = verifyPassport(forged, { trust, semantics: 'enforce' })
    expect(await verdict(enforced)).toMatchObject({ code: 'ERR_KEST_SIGNATURE', index: 1 })
    const late = [{ by: 'stranger' }, { by: 'hop2', trust_score: 100, labels: { trace_id: 'b'.repeat(32) } }]
    expect(await verdict(verify(late, { semantics: 'enforce' }))).toMatchObject({
      code: 'ERR_KEST_KEY_UNKNOWN',
      index: 0,
    })
  })
})

describe('K-LIMIT', () => {
  it('K-LIMIT refuses, at its entry, more taints than every descendant should have to carry', async () => {
    const names = (prefix: string): string[] => Array.from({ length: 200 }, (_, i) => `${prefix}${i}`)
    const steps = [0, 1].map((n) => ({ by: 'hop2', added_taints: names(`${n}-`) }))
    await expect(verify(steps)).rejects.toMatchObject({ code: 'ERR_KEST_LIMIT', index: 1 })
  })
})
