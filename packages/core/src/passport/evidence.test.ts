import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chain, failure, strings, trustIn, verdict } from '../../tests/support/signed.js'
import { KestError } from '../errors.js'
import type { KeySource } from '../identity/key-source.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { SignedEntry } from '../jws/compact.js'
import { createEvidence, keySourcesOf, parseEvidence, verifyEvidence } from './evidence.js'
import { Passport } from './passport.js'

const keysOf = (...names: string[]) =>
  Object.fromEntries(
    names.map((name) => {
      const identity = new MockIdentityProvider(name)
      return [identity.getWorkloadId(), [identity.getPublicJwk()]]
    }),
  )
const entries = chain({ by: 'hop1', trust_score: 40 }, { by: 'hop2', trust_score: 80 })
const tip = entries[1]?.hash as string
const file = {
  format: 'kest-evidence-1',
  passport: strings(entries),
  trust: { keys: keysOf('hop1', 'hop2') },
}

describe('K-ROOTS evidence', () => {
  const hop1 = { workload: 'spiffe://kest.test/hop1', ceiling: 30 }
  const trustScore = async (roots: unknown, option: object = {}) => {
    const evidence = parseEvidence(roots === undefined ? file : { ...file, roots })
    return (await verifyEvidence(evidence, option)).passport.trustScore
  }

  it('K-ROOTS is judged by the list that it has, and by that of who checks it: both must grant', async () => {
    expect(await trustScore(undefined)).toBe(40)
    expect(await trustScore([hop1])).toBe(30)
    expect(await trustScore([])).toBe(0)
    expect(await trustScore(undefined, { roots: [{ ...hop1, ceiling: 20 }] })).toBe(20)
    expect(await trustScore([hop1], { roots: [{ ...hop1, ceiling: 20 }] })).toBe(20)
    expect(await trustScore([hop1], { roots: [{ ...hop1, ceiling: 90 }] })).toBe(30)
    expect(await trustScore([hop1], { roots: [] })).toBe(0)
  })

  it('K-ROOTS carries the list that it was made with', () => {
    const made = createEvidence({
      passport: new Passport(strings(entries)),
      trust: file.trust,
      roots: [hop1],
    })
    expect(parseEvidence(JSON.stringify(made)).roots).toEqual([{ ...hop1, identity: false }])
    expect(parseEvidence(file).roots).toBeNull()
  })
})

describe('parseEvidence', () => {
  it('reads text, or what JSON made of it, and fills in what is not said', () => {
    const evidence = parseEvidence(JSON.stringify({ ...file, name: 'a vector', expect: { ok: true } }))
    expect(evidence).toEqual(parseEvidence(file))
    expect(evidence).toMatchObject({ at: 'entry', tip: null, semantics: 'report' })
    expect(evidence.passport.entries).toEqual(strings(entries))
    const full = {
      ...file,
      at: '2030-01-01T00:00:00.5+01:00',
      tip: `${tip},${'a'.repeat(64)}`,
      semantics: 'enforce',
    }
    expect(parseEvidence(full)).toMatchObject({
      at: Date.UTC(2029, 11, 31, 23, 0, 0, 500),
      tip: [tip, 'a'.repeat(64)],
      semantics: 'enforce',
    })
  })

  it.each<[string, unknown]>([
    ['no JSON', '{'],
    ['an array', []],
    ['null', null],
    ['no format', { ...file, format: undefined }],
    ['another format', { ...file, format: 'kest-evidence-2' }],
    ['no passport', { ...file, passport: undefined }],
    ['a passport that is text', { ...file, passport: '[]' }],
    ['no trust', { ...file, trust: undefined }],
    ['trust that is a list', { ...file, trust: [] }],
    ['trust that is text', { ...file, trust: '{}' }],
    ['keys that are a list', { ...file, trust: { keys: [] } }],
    ['bundles that are text', { ...file, trust: { bundles: 'x' } }],
    ['roots that are no list', { ...file, roots: {} }],
    ['a root without a ceiling', { ...file, roots: [{ workload: 'spiffe://kest.test/hop1' }] }],
    ['a time without a zone', { ...file, at: '2030-01-01T00:00:00' }],
    ['a day', { ...file, at: '2030-01-01' }],
    ['a day that is not', { ...file, at: '2030-02-31T25:00:00Z' }],
    ['February 30', { ...file, at: '2030-02-30T00:00:00Z' }],
    ['February 29 of a year that has none', { ...file, at: '2030-02-29T00:00:00Z' }],
    ['the hour 24', { ...file, at: '2030-01-01T24:00:00Z' }],
    ['an offset of a day', { ...file, at: '2030-01-01T00:00:00+24:00' }],
    ['a time that is a number', { ...file, at: 5 }],
    ['a tip that is no hash', { ...file, tip: 'x' }],
    ['an empty tip', { ...file, tip: '' }],
    ['tips in a list', { ...file, tip: [tip] }],
    ['other semantics', { ...file, semantics: 'ignore' }],
  ])('refuses %s', async (_, value) => {
    expect((await failure(() => parseEvidence(value))).code).toBe('ERR_KEST_EVIDENCE')
  })

  it.each([
    ['format', `"format":"kest-evidence-1"`],
    ['an ignored member', `"name":"a","name":"b"`],
    ['a member within', `"x":[{"a":{"b":1,"\\u0062":2}}]`],
  ])('refuses a text that repeats %s', async (_, members) => {
    const text = `{${members},${JSON.stringify(file).slice(1)}`
    const refused = await failure(() => parseEvidence(text))
    expect(refused.code).toBe('ERR_KEST_EVIDENCE')
    expect(refused.message).toContain('twice')
  })

  it('refuses a text that is nested without end', async () => {
    const text = `{"x":${'['.repeat(1000)}${']'.repeat(1000)},${JSON.stringify(file).slice(1)}`
    expect((await failure(() => parseEvidence(text))).message).toContain('nested')
  })

  it('takes February 29 of a year that has one', () => {
    expect(parseEvidence({ ...file, at: '2028-02-29T00:00:00Z' }).at).toBe(Date.UTC(2028, 1, 29))
  })

  it('refuses a passport that is none as verifying it would', async () => {
    const malformed = { code: 'ERR_KEST_PASSPORT_MALFORMED', entryId: null }
    expect(await verdict(() => parseEvidence({ ...file, passport: {} }))).toEqual({
      ...malformed,
      index: null,
    })
    expect(await verdict(() => parseEvidence({ ...file, passport: ['a', 1] }))).toEqual({
      ...malformed,
      index: 1,
    })
  })

  it('throws nothing but our own errors', () => {
    const member = fc.option(fc.anything(), { nil: undefined })
    const any = fc.record({
      format: fc.constant(file.format),
      passport: member,
      trust: member,
      at: member,
      tip: member,
    })
    fc.assert(
      fc.property(fc.oneof(any, fc.anything(), fc.string()), (value) => {
        try {
          parseEvidence(value)
        } catch (error) {
          expect(error).toBeInstanceOf(KestError)
        }
      }),
    )
  })
})

describe('verifyEvidence', () => {
  it('K-ANCHOR says whether the trust was the verifier’s own', async () => {
    const evidence = parseEvidence(file)
    const consistent = await verifyEvidence(evidence)
    expect(consistent.anchored).toBe(false)
    expect(consistent.passport.principals).toHaveLength(2)
    for (const trust of [{ keys: keysOf('hop1', 'hop2') }, [trustIn('hop1', 'hop2')]]) {
      expect((await verifyEvidence(evidence, { trust })).anchored).toBe(true)
    }
  })

  it('K-ANCHOR takes the verifier’s trust in place of the file’s, not beside it', async () => {
    const evidence = parseEvidence(file)
    for (const trust of [{ keys: keysOf('hop1') }, {}, []]) {
      expect((await failure(verifyEvidence(evidence, { trust }))).code).toBe('ERR_KEST_KEY_UNKNOWN')
    }
  })

  it('K-SEM enforces what either side wants enforced', async () => {
    const semantics = 'enforce'
    expect((await verifyEvidence(parseEvidence(file))).passport.findings).toHaveLength(1)
    const raised = { code: 'ERR_KEST_TRUST_RAISED' }
    expect(await failure(verifyEvidence(parseEvidence({ ...file, semantics })))).toMatchObject(raised)
    expect(await failure(verifyEvidence(parseEvidence(file), { semantics }))).toMatchObject(raised)
    const loosened = verifyEvidence(parseEvidence({ ...file, semantics }), { semantics: 'report' })
    expect(await failure(loosened)).toMatchObject(raised)
  })

  it('K-EFF narrows who may raise trust', async () => {
    const labels = { 'kest.trust_override': '80' }
    const raised = chain({ by: 'hop1', trust_score: 40 }, { by: 'hop2', trust_score: 80, labels })
    const evidence = parseEvidence({ ...file, passport: strings(raised) })
    expect((await verifyEvidence(evidence)).passport.trustScore).toBe(80)
    expect((await verifyEvidence(evidence, { raisers: [] })).passport.trustScore).toBe(40)
  })

  it('K-TIP holds to the tips of the file and to those of the caller', async () => {
    const cut = { ...file, passport: strings(entries.slice(0, 1)) }
    const refused = async (value: object, options = {}) =>
      (await failure(verifyEvidence(parseEvidence(value), options))).code
    expect((await verifyEvidence(parseEvidence({ ...file, tip }), { tip })).passport.tips).toHaveLength(1)
    expect(await refused({ ...cut, tip })).toBe('ERR_KEST_TIP')
    expect(await refused(cut, { tip })).toBe('ERR_KEST_TIP')
    const first = entries[0]?.hash as string
    expect(await refused({ ...file, tip }, { tip: first })).toBe('ERR_KEST_TIP')
    expect(await refused({ ...file, tip: `${tip},${first}` }, { tip: [tip] })).toBe('ERR_KEST_TIP')
    expect(await refused({ ...cut, tip: first }, { tip: [tip, first] })).toBe('ERR_KEST_TIP')
  })

  it('K-TIME judges certificates when the file says, or when the caller does, but never otherwise than the file fixes', async () => {
    const asked: number[] = []
    const x509 = (): KeySource => ({
      ...trustIn('hop1'),
      kind: 'x509',
      find: ({ time }) => {
        asked.push(time)
        return []
      },
    })
    const { workloadId, sign } = new MockIdentityProvider('hop1').current()
    const header = Buffer.from('{"alg":"EdDSA","typ":"JWS","x5c":["AAAA"]}').toString('base64url')
    const input = `${header}.${(entries[0] as SignedEntry).jws.split('.')[1]}`
    const jws = `${input}.${Buffer.from(sign(Buffer.from(input)) as Uint8Array).toString('base64url')}`
    expect(workloadId).toBe('spiffe://kest.test/hop1')
    const certified = { ...file, passport: [jws], trust: { bundles: {} } }
    const fixed = { ...certified, at: '2031-01-01T00:00:00Z' }
    const at = new Date(Date.UTC(2031, 0, 1))
    await failure(verifyEvidence(parseEvidence(certified), { x509 }))
    await failure(verifyEvidence(parseEvidence(certified), { x509, at }))
    await failure(verifyEvidence(parseEvidence(fixed), { x509 }))
    await failure(verifyEvidence(parseEvidence(fixed), { x509, at: 'entry' }))
    await failure(verifyEvidence(parseEvidence(fixed), { x509, at }))
    expect(asked).toEqual([Date.UTC(2030, 0, 1), at.getTime(), at.getTime(), at.getTime(), at.getTime()])
    const other = verifyEvidence(parseEvidence(fixed), { x509, at: at.getTime() + 1 })
    expect((await failure(other)).code).toBe('ERR_KEST_CONFIG')
    const unread = verifyEvidence(parseEvidence(certified))
    expect((await failure(unread)).code).toBe('ERR_KEST_CERTIFICATE_UNSUPPORTED')
  })

  it('refuses keys in the file that no key source takes, and does not show them', async () => {
    const secret = { kty: 'OKP', crv: 'Ed25519', x: 'AA', d: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlYw' }
    for (const jwk of [secret, { kty: 'oct', k: 'AA' }, { kty: 'EC' }, null, 5]) {
      const error = await failure(verifyEvidence(parseEvidence({ ...file, trust: { keys: { a: [jwk] } } })))
      expect(error.code).toBe('ERR_KEST_EVIDENCE')
      expect(error.message).not.toContain(secret.d)
    }
  })
})

describe('createEvidence', () => {
  it('writes what parseEvidence reads, and verifyEvidence holds', async () => {
    const passport = new Passport(strings(entries))
    const at = new Date(Date.UTC(2030, 0, 1))
    const facts = { passport, trust: file.trust, at, tip: [tip], semantics: 'report' } as const
    const evidence = parseEvidence(JSON.stringify(createEvidence(facts)))
    expect(evidence).toMatchObject({ passport, at: at.getTime(), tip: [tip], semantics: 'report' })
    expect((await verifyEvidence(evidence)).passport.time).toBe('fixed')
    expect(createEvidence({ passport, trust: {} })).toEqual({
      format: 'kest-evidence-1',
      passport: strings(entries),
      trust: {},
      at: 'entry',
    })
  })

  it('refuses to write what nobody could read', async () => {
    const passport = new Passport([])
    const wrong = failure(() => createEvidence({ passport, trust: {}, tip: ['x'] }))
    expect((await wrong).code).toBe('ERR_KEST_EVIDENCE')
  })
})

describe('keySourcesOf', () => {
  it('makes a source of the keys, and one of the bundles where someone can', () => {
    const trust = { keys: keysOf('hop1'), bundles: { 'example.org': {} } }
    const x509 = (bundles: object): KeySource => ({
      ...trustIn(),
      kind: 'x509',
      name: Object.keys(bundles).join(),
    })
    expect(keySourcesOf(trust).map(({ kind }) => kind)).toEqual(['keys'])
    expect(keySourcesOf(trust, { x509 }).map(({ name }) => name)).toEqual(['keys', 'example.org'])
    expect(keySourcesOf({}, { x509 })).toEqual([])
  })
})
