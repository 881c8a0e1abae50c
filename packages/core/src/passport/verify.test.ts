import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  chain,
  entryWith,
  failure,
  sign,
  strings,
  TRACE,
  trustIn,
  verdict,
} from '../../tests/support/signed.js'
import { KestError, PassportVerificationError } from '../errors.js'
import { createKeyIdentity } from '../identity/key-identity.js'
import type { KeyQuery, KeySource, VerificationKey } from '../identity/key-source.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { SignedEntry } from '../jws/compact.js'
import { Passport } from './passport.js'
import { VerifiedPassport } from './verified-passport.js'
import { PassportVerifier, type PublicKeyHolder } from './verifier.js'
import { verifyPassport } from './verify.js'
import type { VerifyOptions } from './verify-options.js'

const everyone = trustIn('hop1', 'hop2', 'hop3')
const three = chain({ by: 'hop1' }, { by: 'hop2' }, { by: 'hop3' })

function verify(
  entries: readonly SignedEntry[],
  options: Partial<VerifyOptions> = {},
): Promise<VerifiedPassport> {
  return verifyPassport(new Passport(strings(entries)), { trust: everyone, ...options })
}

/** Fails at the same place on this thread and in the pool. */
async function refused(
  entries: readonly SignedEntry[],
  options: Partial<VerifyOptions> = {},
): Promise<[string, number | null]> {
  const inline = await verdict(verify(entries, { ...options, threads: 'inline' }))
  expect(await verdict(verify(entries, { ...options, threads: 'pool' }))).toEqual(inline)
  expect(await verdict(verify(entries, { ...options, threads: 'auto' }))).toEqual(inline)
  return [inline.code, inline.index]
}

/** With one character of one segment changed to another that says other bits. */
function altered({ jws, hash }: SignedEntry, segment: 0 | 1 | 2): SignedEntry {
  const parts = jws.split('.')
  const part = parts[segment] as string
  parts[segment] = `${part.slice(0, 20)}${part[20] === 'A' ? 'B' : 'A'}${part.slice(21)}`
  return { jws: parts.join('.'), hash }
}

/** A source that answers with these keys, later. */
function slow(source: KeySource, milliseconds = 5): KeySource {
  return {
    ...source,
    find: async (query) => {
      await new Promise((resolve) => setTimeout(resolve, milliseconds))
      return source.find(query)
    },
  }
}

describe('verifyPassport', () => {
  it('TC-01 F-PA-04 verifies a single root', async () => {
    const [root] = chain({ trust_score: 40, taints: ['pii'], added_taints: ['pii'] })
    const verified = await verify([root as SignedEntry])
    expect(verified).toBeInstanceOf(VerifiedPassport)
    expect(verified).toMatchObject({
      principals: ['spiffe://kest.test/hop1'],
      trustScore: 40,
      taints: ['pii'],
      identity: null,
      identityBy: null,
      traceId: TRACE,
      findings: [],
      mode: 'full',
      time: 'self-asserted',
    })
    expect(verified.entries).toEqual(verified.tips)
    expect(verified.tips[0]).toMatchObject({ ...root, proven: true, alg: 'EdDSA', keySource: 'keys' })
  })

  it.each(['inline', 'pool', 'auto'] as const)('F-PA-05 verifies a chain of three (%s)', async (threads) => {
    const verified = await verify(three, { threads })
    expect(verified.principals).toEqual(['hop1', 'hop2', 'hop3'].map((name) => `spiffe://kest.test/${name}`))
    expect(verified.tips.map(({ hash }) => hash)).toEqual([three[2]?.hash])
    expect(verified.entries.map(({ jws }) => jws)).toEqual(strings(three))
    expect(verified.lineage().strings()).toEqual(strings(three))
    expect(verified.toPassport()).toEqual(new Passport(strings(three)))
  })

  it('F-PA-03 verifies an empty passport, which proves nothing', async () => {
    expect(await verify([])).toMatchObject({
      entries: [],
      tips: [],
      principals: [],
      trustScore: null,
      taints: [],
    })
  })

  it('F-ID-01 verifies keys of every kind', async () => {
    const pairs = [
      generateKeyPairSync('ed25519'),
      generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      generateKeyPairSync('ec', { namedCurve: 'P-384' }),
      generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ]
    const identities = pairs.map(({ privateKey }, i) => createKeyIdentity(`arn:aws:${i}`, privateKey))
    let parents = ['0']
    const entries = identities.map((identity) => {
      const labels = { principal: identity.getWorkloadId() }
      const signed = sign(entryWith({ parent_ids: parents, labels }), identity.current())
      parents = [signed.hash]
      return signed
    })
    const { entries: verified } = await verify(entries, { trust: trustIn(...identities) })
    expect(verified.map(({ alg }) => alg)).toEqual(['EdDSA', 'ES256', 'ES384', 'PS256'])
  })

  it('F-PA-04 takes the protocol’s own form, with providers', async () => {
    const providers = new Map(
      ['hop1', 'hop2', 'hop3'].map((name) => {
        const identity = new MockIdentityProvider(name)
        return [identity.getWorkloadId(), name === 'hop2' ? identity.getPublicJwk() : identity] as const
      }),
    )
    const passport = new Passport(strings(three))
    expect((await PassportVerifier.verify(passport, { providers })).principals).toHaveLength(3)
    const { code } = await failure(PassportVerifier.verify(passport, { providers: {} }))
    expect(code).toBe('ERR_KEST_KEY_UNKNOWN')
    const nobody = { 'spiffe://kest.test/hop1': null as unknown as PublicKeyHolder }
    expect((await failure(PassportVerifier.verify(passport, { providers: nobody }))).code).toBe(
      'ERR_KEST_CONFIG',
    )
    const nothing = failure(PassportVerifier.verify(passport, {} as never))
    expect((await nothing).code).toBe('ERR_KEST_CONFIG')
  })

  describe('F-PA-06 what was altered', () => {
    const [one, two, last] = three as [SignedEntry, SignedEntry, SignedEntry]

    it('TC-02 refuses a payload that was changed', async () => {
      const forged = sign(
        entryWith({ parent_ids: [one.hash], labels: { principal: 'spiffe://kest.test/hop2' } }),
        new MockIdentityProvider('hop2').current(),
      )
      const [header, , signature] = two.jws.split('.')
      const jws = [header, forged.jws.split('.')[1], signature].join('.')
      expect(await refused([one, { ...two, jws }, last])).toEqual(['ERR_KEST_SIGNATURE', 1])
    })

    it('TC-03 refuses a signature that was changed', async () => {
      for (const [index, entry] of three.entries()) {
        expect(await refused(three.with(index, altered(entry, 2)))).toEqual(['ERR_KEST_SIGNATURE', index])
      }
    })

    it('refuses an entry that its own workload signed again', async () => {
      const again = sign(
        entryWith({ parent_ids: [one.hash], labels: { principal: 'spiffe://kest.test/hop2' } }),
        new MockIdentityProvider('hop2').current(),
      )
      expect(await refused([one, again, last])).toEqual(['ERR_KEST_PARENT_UNKNOWN', 2])
    })

    it('F-PA-07 refuses missing and exchanged entries', async () => {
      expect(await refused([two, last])).toEqual(['ERR_KEST_PARENT_UNKNOWN', 0])
      expect(await refused([one, last])).toEqual(['ERR_KEST_PARENT_UNKNOWN', 1])
      expect(await refused([two, one, last])).toEqual(['ERR_KEST_PARENT_UNKNOWN', 0])
      expect(await refused([one, last, two])).toEqual(['ERR_KEST_PARENT_UNKNOWN', 1])
    })

    it('K-ONCE refuses an entry, and an entry_id, that occurs twice', async () => {
      expect(await refused([one, two, last, two])).toEqual(['ERR_KEST_DUPLICATE', 3])
      const { entry_id } = entryWith()
      expect(await refused(chain({ entry_id }, { by: 'hop2', entry_id }))).toEqual(['ERR_KEST_DUPLICATE', 1])
    })

    it('K-TIME refuses a child that is earlier than one of its parents, clocks’ differences aside', async () => {
      const at = (offset: number) => ({ timestamp_ms: Date.UTC(2030, 0, 1) + offset })
      expect(await verify(chain(at(0), at(-60_000)))).toBeInstanceOf(VerifiedPassport)
      expect(await refused(chain(at(0), at(-60_001)))).toEqual(['ERR_KEST_TIME', 1])
      expect(await refused(chain(at(0), at(0), at(-60_001)))).toEqual(['ERR_KEST_TIME', 2])
    })
  })

  describe('the first failure in entry order', () => {
    const [one, two, last] = three as [SignedEntry, SignedEntry, SignedEntry]

    it('is thrown, whatever fails later and however early that is known', async () => {
      const stranger = chain({ by: 'stranger' })[0] as SignedEntry
      expect(await refused([altered(one, 2), two, { ...last, jws: 'x' }])).toEqual(['ERR_KEST_SIGNATURE', 0])
      expect(await refused([one, altered(two, 2), stranger])).toEqual(['ERR_KEST_SIGNATURE', 1])
      expect(await refused([stranger, altered(one, 2)])).toEqual(['ERR_KEST_KEY_UNKNOWN', 0])
      expect(await refused([one, stranger, { ...last, jws: 'x' }])).toEqual(['ERR_KEST_KEY_UNKNOWN', 1])
      expect(await refused([one, { ...two, jws: 'x' }, stranger])).toEqual(['ERR_KEST_ENTRY_MALFORMED', 1])
    })

    it('is thrown when several signatures fail', async () => {
      const roots = [1, 2, 3, 1, 2, 3].map((n) => chain({ by: `hop${n}` })[0] as SignedEntry)
      for (const first of [0, 1, 2, 4]) {
        const broken = roots.map((entry, index) => (index < first ? entry : altered(entry, 2)))
        expect(await refused(broken)).toEqual(['ERR_KEST_SIGNATURE', first])
      }
    })

    it('is thrown with sources that answer late, and leaves no rejection behind', async () => {
      const stranger = chain({ by: 'stranger' }, { by: 'stranger' })
      const unavailable: KeySource = {
        ...everyone,
        find: async ({ principal }) => {
          const late = principal.endsWith('hop1') ? 10 : 1
          await new Promise((resolve) => setTimeout(resolve, late))
          throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', principal)
        },
      }
      expect(await refused(three, { trust: unavailable })).toEqual(['ERR_KEST_KEYS_UNAVAILABLE', 0])
      expect(await refused([...three, ...stranger], { trust: slow(everyone) })).toEqual([
        'ERR_KEST_KEY_UNKNOWN',
        3,
      ])
      expect(await refused([altered(one, 2), ...stranger], { trust: slow(everyone) })).toEqual([
        'ERR_KEST_SIGNATURE',
        0,
      ])
    })

    it('names the entry by id', async () => {
      const { entryId, index } = await verdict(verify([one, altered(two, 2), last]))
      expect(index).toBe(1)
      expect(entryId).toBe((await verify(three)).entries[1]?.entry.entry_id)
    })
  })

  describe('K-BIND keys', () => {
    const mock = (name: string) => new MockIdentityProvider(name)
    const jwk = (name: string) => mock(name).getPublicJwk()
    const hop1 = mock('hop1').getWorkloadId()

    it('K-PRINCIPAL refuses an entry that another listed workload signed', async () => {
      const forged = sign(entryWith({ labels: { principal: hop1 } }), mock('hop2').current())
      expect(await refused([forged])).toEqual(['ERR_KEST_SIGNATURE', 0])
    })

    it('refuses a principal without a key, however it is called', async () => {
      for (const principal of [
        '__proto__',
        'constructor',
        'toString',
        'hasOwnProperty',
        `${hop1}/`,
        hop1.toUpperCase(),
      ]) {
        const entry = sign(entryWith({ labels: { principal } }), mock('hop1').current())
        for (const trust of [createKeySource({ [hop1]: [jwk('hop1')] }), createKeySource({}), []]) {
          expect(await refused([entry], { trust })).toEqual(['ERR_KEST_KEY_UNKNOWN', 0])
        }
      }
    })

    it('finds a principal that is called like a member of every object', async () => {
      for (const principal of ['__proto__', 'constructor']) {
        const { privateKey } = generateKeyPairSync('ed25519')
        const identity = { ...createKeyIdentity('urn:any', privateKey), getWorkloadId: () => principal }
        const entry = sign(entryWith({ labels: { principal } }), identity.current())
        const { principals } = await verify([entry], { trust: trustIn(identity) })
        expect(principals).toEqual([principal])
      }
    })

    it('asks sources in order, and the first that knows the principal decides', async () => {
      const root = chain({ by: 'hop1' })
      const right = createKeySource({ [hop1]: [jwk('hop1')] }, { name: 'right' })
      const wrong = createKeySource({ [hop1]: [jwk('hop2')] }, { name: 'wrong' })
      const other = createKeySource({ other: [jwk('hop2')] }, { name: 'other' })
      for (const [first, second] of [
        [other, right],
        [slow(other), right],
        [right, wrong],
        [other, slow(right)],
      ] as const) {
        expect((await verify(root, { trust: [first, second] })).tips[0]?.keySource).toBe('right')
      }
      expect(await refused(root, { trust: [wrong, right] })).toEqual(['ERR_KEST_SIGNATURE', 0])
    })

    it('tries all keys of the principal, for kid is a hint', async () => {
      const rotated = createKeySource({ [hop1]: [jwk('old'), jwk('older'), jwk('hop1')] })
      expect((await verify(chain({ by: 'hop1' }), { trust: rotated })).principals).toEqual([hop1])
      const anonymous = { ...mock('hop1').current(), header: { alg: 'EdDSA', kid: hop1 } as const }
      const entry = sign(entryWith({ labels: { principal: hop1 } }), anonymous)
      expect((await verify([entry], { trust: rotated })).principals).toEqual([hop1])
      const misled = { ...anonymous, header: { alg: 'EdDSA', kid: jwk('old').kid } as const }
      expect(
        (await verify([sign(entryWith({ labels: { principal: hop1 } }), misled)], { trust: rotated }))
          .principals,
      ).toEqual([hop1])
    })

    it('K-LIMIT tries eight keys at most, the one that kid names first', async () => {
      const names = Array.from({ length: 20 }, (_, i) => `old${i}`)
      const key = (name: string): VerificationKey => {
        const found = trustIn(name).find({ principal: mock(name).getWorkloadId() } as KeyQuery)
        return (found as readonly VerificationKey[])[0] as VerificationKey
      }
      const many: KeySource = { ...everyone, find: () => [...names, 'hop1'].map(key) }
      expect((await verify(chain({ by: 'hop1' }), { trust: many })).principals).toEqual([hop1])
      const unnamed = { ...mock('hop1').current(), header: { alg: 'EdDSA', kid: 'none' } as const }
      const entry = sign(entryWith({ labels: { principal: hop1 } }), unnamed)
      expect(await refused([entry], { trust: many })).toEqual(['ERR_KEST_SIGNATURE', 0])
    })

    it('K-ALG refuses an alg that is not the key’s, whatever else holds', async () => {
      const p256 = createKeyIdentity(hop1, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
      expect(await refused(chain({ by: 'hop1' }), { trust: trustIn(p256) })).toEqual(['ERR_KEST_ALG', 0])
      const narrowed = createKeySource({ [hop1]: [{ ...jwk('hop1'), alg: 'Ed25519' }] })
      expect((await verify(chain({ by: 'hop1' }), { trust: narrowed })).principals).toEqual([hop1])
    })

    it('refuses when a source fails, with its code, or as one that cannot say', async () => {
      const failing = (error: unknown, late: boolean): KeySource => ({
        ...everyone,
        find: () => {
          if (late) return Promise.reject(error)
          throw error
        },
      })
      for (const late of [false, true]) {
        const known = new KestError('ERR_KEST_CERTIFICATE', 'expired', { cause: 'x' })
        expect(await refused(three, { trust: failing(known, late) })).toEqual(['ERR_KEST_CERTIFICATE', 0])
        const bug = new TypeError('undefined is not a function')
        expect(await refused(three, { trust: failing(bug, late) })).toEqual(['ERR_KEST_KEYS_UNAVAILABLE', 0])
        expect((await failure(verify(three, { trust: failing(bug, late) }))).cause).toBe(bug)
      }
    })

    it('K-X5C asks X.509 sources about entries with certificates, at the time in question, and only them', async () => {
      const { workloadId, sign: signature } = mock('hop1').current()
      const certified = {
        workloadId,
        local: true,
        sign: signature,
        header: { alg: 'EdDSA', x5c: ['AAAA'] } as const,
      }
      const entry = sign(entryWith({ timestamp_ms: 1000, labels: { principal: hop1 } }), certified)
      expect(await refused([entry])).toEqual(['ERR_KEST_CERTIFICATE_UNSUPPORTED', 0])

      const asked: KeyQuery[] = []
      const x509: KeySource = {
        ...everyone,
        name: 'bundle',
        kind: 'x509',
        find: (query) => {
          asked.push(query)
          return everyone.find(query)
        },
      }
      const trust = [everyone, x509]
      expect((await verify([entry], { trust })).tips[0]?.keySource).toBe('bundle')
      const fixed = await verify([entry], { trust, at: new Date(5) })
      expect(fixed.time).toBe('fixed')
      await verify([entry], { trust, at: 7 })
      expect(asked.map(({ time }) => time)).toEqual([1000, 5, 7])
      expect(asked[0]).toMatchObject({ principal: hop1, header: { x5c: ['AAAA'] } })
      expect(await refused(three, { trust: x509 })).toEqual(['ERR_KEST_KEY_UNKNOWN', 0])
    })

    it('never uses a key that the header offers', async () => {
      const { sign: signature } = mock('stranger').current()
      const header = { alg: 'EdDSA', typ: 'JWS', kid: 'k', jwk: jwk('stranger') }
      const input = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${chain({ by: 'hop1' })[0]?.jws.split('.')[1]}`
      const jws = `${input}.${Buffer.from(signature(Buffer.from(input)) as Uint8Array).toString('base64url')}`
      expect(await refused([{ jws, hash: '' }])).toEqual(['ERR_KEST_SIGNATURE', 0])
    })
  })

  describe('K-LOWS', () => {
    const identity = createKeyIdentity(
      'urn:p256',
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    )
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    const twinOf = ({ jws }: SignedEntry): SignedEntry => {
      const [header, payload, signature] = jws.split('.') as [string, string, string]
      const bytes = Buffer.from(signature, 'base64url')
      const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
      const twin = Buffer.concat([
        bytes.subarray(0, 32),
        Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
      ])
      return { jws: `${header}.${payload}.${twin.toString('base64url')}`, hash: '' }
    }

    it('refuses the twin that anyone can make of our ECDSA signatures, and allows peers theirs', async () => {
      const labels = { principal: 'urn:p256' }
      const trust = trustIn(identity)
      const ours = sign(entryWith({ labels }), identity.current())
      expect(await verify([ours], { trust })).toBeInstanceOf(VerifiedPassport)
      expect(await refused([twinOf(ours)], { trust })).toEqual(['ERR_KEST_SIGNATURE', 0])
      const theirs = sign(
        entryWith({ labels, runtime: { name: 'kest-go', version: '1' } }),
        identity.current(),
      )
      expect(await verify([twinOf(theirs)], { trust })).toBeInstanceOf(VerifiedPassport)
    })
  })

  describe('K-TIP', () => {
    const [one, two] = three as [SignedEntry, SignedEntry, SignedEntry]
    const sibling = chain({ by: 'hop3', parent_ids: [one.hash] })[0] as SignedEntry
    const forked = [one, two, sibling]

    it('accepts the tips, as a set', async () => {
      for (const tip of [[two.hash, sibling.hash], [sibling.hash, two.hash], `${two.hash},${sibling.hash}`]) {
        expect((await verify(forked, { tip })).tips).toHaveLength(2)
      }
      expect((await verify([], { tip: [] })).tips).toEqual([])
      expect((await verify([], { tip: '' })).tips).toEqual([])
    })

    it('refuses a passport whose tail was cut off', async () => {
      expect(await refused([one, two], { tip: three[2]?.hash as string })).toEqual(['ERR_KEST_TIP', null])
      expect(await refused([one, two], { tip: [two.hash, sibling.hash] })).toEqual(['ERR_KEST_TIP', null])
      expect(await refused([], { tip: one.hash })).toEqual(['ERR_KEST_TIP', null])
    })

    it('refuses a passport to which something was added', async () => {
      expect(await refused(forked, { tip: two.hash })).toEqual(['ERR_KEST_TIP', null])
      expect(await refused(forked, { tip: [two.hash, two.hash] })).toEqual(['ERR_KEST_TIP', null])
      expect(await refused([one], { tip: [] })).toEqual(['ERR_KEST_TIP', null])
    })
  })

  describe('K-INGRESS modes', () => {
    const [one, two, last] = three as [SignedEntry, SignedEntry, SignedEntry]

    it('tip leaves out the ancestors’ signatures, and says so', async () => {
      // A tip that was signed over a broken ancestor vouches for having seen it, no more.
      const broken = altered(one, 2)
      const hash = (await verifyPassport(new Passport([broken.jws]), { trust: [], mode: 'off' })).tips[0]
        ?.hash as string
      const tip = chain({ by: 'hop2', parent_ids: [hash] })[0] as SignedEntry
      expect(await refused([broken, tip])).toEqual(['ERR_KEST_SIGNATURE', 0])
      const verified = await verify([broken, tip], { mode: 'tip' })
      expect(verified.mode).toBe('tip')
      expect(verified.principals).toEqual(['spiffe://kest.test/hop2'])
      expect(verified.entries.map(({ proven }) => proven)).toEqual([false, true])
      expect(verified.entries.map(({ keySource }) => keySource)).toEqual(['none', 'keys'])
      expect(verified.lineage().summary().principals).toEqual(['spiffe://kest.test/hop2'])
    })

    it('tip checks everything else: tips’ signatures, keys, links, form', async () => {
      expect(await refused([one, two, altered(last, 2)], { mode: 'tip' })).toEqual(['ERR_KEST_SIGNATURE', 2])
      expect(await refused([one, last], { mode: 'tip' })).toEqual(['ERR_KEST_PARENT_UNKNOWN', 1])
      expect(await refused(three, { mode: 'tip', tip: two.hash })).toEqual(['ERR_KEST_TIP', null])
      const stranger = chain({ by: 'stranger' }, { by: 'hop1' })
      expect(await refused(stranger, { mode: 'tip' })).toEqual(['ERR_KEST_KEY_UNKNOWN', 0])
    })

    it('tip lets an unproven ancestor neither raise trust, nor remove taints, nor state an identity', async () => {
      const labels = {
        'kest.identity': '{"agent":null,"task":null,"user":"alice"}',
        'kest.identity_stated': 'true',
      }
      const identityAuthorities = ['spiffe://kest.test/hop1', 'spiffe://kest.test/hop2']
      const forged = chain(
        { trust_score: 10, taints: ['pii'], added_taints: ['pii'] },
        {
          trust_score: 100,
          removed_taints: ['pii'],
          labels: { 'kest.trust_override': '100', ...labels },
        },
        { by: 'hop2', trust_score: 100 },
      )
      expect(await verify(forged, { mode: 'full', identityAuthorities })).toMatchObject({
        trustScore: 100,
        taints: [],
        identity: { user: 'alice' },
      })
      const verified = await verify(forged, { mode: 'tip', identityAuthorities })
      expect(verified).toMatchObject({ trustScore: 10, taints: ['pii'], identity: null, identityBy: null })
      const stating = chain({ by: 'hop1' }, { by: 'hop2', labels })
      expect(await verify(stating, { mode: 'tip', identityAuthorities })).toMatchObject({
        identity: { user: 'alice' },
        identityBy: 'spiffe://kest.test/hop2',
      })
    })

    it('off believes nothing, but still reads', async () => {
      const verified = await verify(
        chain({ trust_score: 100, labels: { 'kest.identity': '{"user":"alice"}' } }),
        {
          mode: 'off',
          trust: [],
          semantics: 'enforce',
        },
      )
      expect(verified).toMatchObject({
        trustScore: 0,
        taints: ['unverified'],
        identity: null,
        identityBy: null,
        principals: [],
      })
      expect(verified.entries[0]).toMatchObject({ proven: false, keySource: 'none', trustScore: 0 })
      expect(await refused([one, last], { mode: 'off' })).toEqual(['ERR_KEST_PARENT_UNKNOWN', 1])
      expect(await refused([{ jws: 'x', hash: '' }], { mode: 'off' })).toEqual([
        'ERR_KEST_ENTRY_MALFORMED',
        0,
      ])
    })
  })

  it.each(['pool', 'auto'] as const)(
    'K-LIMIT stops computing signatures soon after one that does not hold (%s)',
    async (threads) => {
      let computed = 0
      const counting: KeySource = {
        ...everyone,
        find: async (query) =>
          (await everyone.find(query)).map(({ key, algorithms }) => ({
            algorithms,
            get key() {
              computed++
              return key
            },
          })),
      }
      const forged = Array.from({ length: 256 }, () => altered(chain({})[0] as SignedEntry, 2))
      expect(await verdict(verify(forged, { trust: counting, threads }))).toMatchObject({
        code: 'ERR_KEST_SIGNATURE',
        index: 0,
      })
      expect(computed).toBeLessThanOrEqual(32)
    },
  )

  it('names the first entry that fails, whichever key was known first', async () => {
    const roots = ['hop1', 'hop2'].map((by) => altered(chain({ by })[0] as SignedEntry, 2))
    const later = (ofHop1: KeySource): KeySource => ({
      ...everyone,
      find: (query) => (query.principal.endsWith('hop1') ? slow(ofHop1) : everyone).find(query),
    })
    expect(await refused(roots, { trust: later(everyone) })).toEqual(['ERR_KEST_SIGNATURE', 0])
    expect(await refused(roots, { trust: later(trustIn()) })).toEqual(['ERR_KEST_KEY_UNKNOWN', 0])
  })

  it('K-LIMIT bounds entries and bytes before anything is read', async () => {
    const passport = new Passport(Array(257).fill('x'))
    expect(await verdict(verifyPassport(passport, { trust: [] }))).toMatchObject({
      code: 'ERR_KEST_LIMIT',
      index: null,
    })
    expect(await refused(three, { limits: { entries: 2 } })).toEqual(['ERR_KEST_LIMIT', null])
    expect(await refused(three, { limits: { passportBytes: 100 } })).toEqual(['ERR_KEST_LIMIT', null])
    expect(await refused(three, { limits: { entryBytes: 100 } })).toEqual(['ERR_KEST_LIMIT', 0])
  })

  it('stops when it is told to', async () => {
    const reason = new Error('gone')
    const before = await failure(verify(three, { signal: AbortSignal.abort(reason) }))
    expect(before).toMatchObject({ code: 'ERR_KEST_ABORTED', cause: reason })
    const controller = new AbortController()
    const during = verify(three, { trust: slow(everyone, 20), signal: controller.signal })
    controller.abort(reason)
    expect((await failure(during)).code).toBe('ERR_KEST_ABORTED')
  })

  it.each<[string, unknown]>([
    ['no options', undefined],
    ['no trust', {}],
    ['trust that is no source', { trust: {} }],
    ['a key in place of a source', { trust: [{ kty: 'OKP' }] }],
    ['a misspelled option', { trust: [], Tip: 'x' }],
    ['a mode that is none', { trust: [], mode: 'none' }],
    ['threads that are none', { trust: [], threads: 4 }],
    ['semantics that are none', { trust: [], semantics: true }],
    ['a tip that is none', { trust: [], tip: [5] }],
    ['a time that is none', { trust: [], at: 'now' }],
    ['an invalid date', { trust: [], at: new Date(Number.NaN) }],
    ['raisers that are none', { trust: [], raisers: 'spiffe://a/b' }],
    ['a limit that is none', { trust: [], limits: { entries: 0 } }],
  ])('refuses %s', async (_, options) => {
    const { code } = await failure(verifyPassport(new Passport([]), options as VerifyOptions))
    expect(code).toBe('ERR_KEST_CONFIG')
  })

  it('gives what nobody else can make, and nobody can change', async () => {
    const Forge = VerifiedPassport as unknown as new (...args: unknown[]) => VerifiedPassport
    expect(() => new Forge(Symbol('verified'), { entries: [], tips: [], findings: [] })).toThrow(TypeError)
    expect(() => new Forge()).toThrow(TypeError)
    const verified = await verify(three)
    for (const part of [
      verified,
      verified.entries,
      verified.tips,
      verified.entries[0],
      verified.principals,
      verified.findings,
    ]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  it('F-PA-05 verifies any graph whose parents come first, and no other order of it', async () => {
    const names = ['hop1', 'hop2', 'hop3']
    const rows = fc.array(fc.tuple(fc.nat(2), fc.array(fc.nat(), { maxLength: 3 })), {
      minLength: 1,
      maxLength: 6,
    })
    await fc.assert(
      fc.asyncProperty(rows, fc.nat(), fc.nat(), async (graph, from, to) => {
        const entries: SignedEntry[] = []
        const edges: number[][] = []
        for (const [i, [who, picks]] of graph.entries()) {
          const parents = i === 0 ? [] : [...new Set(picks.map((pick) => pick % i))]
          edges.push(parents)
          const parent_ids = parents.length === 0 ? ['0'] : parents.map((at) => entries[at]?.hash as string)
          entries.push(chain({ by: names[who] as string, parent_ids })[0] as SignedEntry)
        }
        const verified = await verify(entries)
        const named = new Set(edges.flat())
        expect(verified.tips.map(({ hash }) => hash)).toEqual(
          entries.filter((_, i) => !named.has(i)).map(({ hash }) => hash),
        )
        const order = entries.map((_, i) => i)
        order.splice(to % order.length, 0, ...order.splice(from % order.length, 1))
        const place = order.map((_, i) => order.indexOf(i))
        const valid = edges.every((parents, i) =>
          parents.every((parent) => (place[parent] as number) < (place[i] as number)),
        )
        const moved = verify(order.map((i) => entries[i] as SignedEntry))
        if (valid) await moved
        else expect((await failure(moved)).code).toBe('ERR_KEST_PARENT_UNKNOWN')
      }),
      { numRuns: 60 },
    )
  })

  it('throws nothing but our own errors for any strings', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constant(three[0]?.jws as string))),
        async (any) => {
          try {
            await verifyPassport(new Passport(any), { trust: everyone })
          } catch (error) {
            expect(error).toBeInstanceOf(PassportVerificationError)
          }
        },
      ),
    )
  })
})
