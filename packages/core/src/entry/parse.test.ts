import { describe, expect, it } from 'vitest'
import { base64url, chain, compact, entryWith, nextId, vectors, verdict } from '../../tests/support/signed.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { DEFAULT_LIMITS, resolveLimits } from '../limits.js'
import { canonicalize } from './canonicalize.js'
import { entryHash, sha256Hex } from './hash.js'
import { parseEntry } from './parse.js'

const options = { limits: DEFAULT_LIMITS, index: 3 }
const signer = new MockIdentityProvider('hop1').current()
const header = { alg: 'EdDSA', typ: 'JWS', kid: 'k' }
const text = canonicalize(entryWith())

/** The compact string of a payload with changes; `undefined` takes a member out. */
function withPayload(changes: Readonly<Record<string, unknown>>): string {
  const payload: Record<string, unknown> = { ...entryWith(), ...changes }
  for (const name of Object.keys(changes)) if (changes[name] === undefined) delete payload[name]
  return compact(header, canonicalize(payload), signer)
}

const parse = (jws: unknown, limits = DEFAULT_LIMITS) => verdict(() => parseEntry(jws, { limits, index: 3 }))

describe('parseEntry', () => {
  it('NF-CORR-02 takes an entry apart, frozen, with the hash that names it', () => {
    const [signed] = chain({ labels: { principal: 'spiffe://kest.test/hop1' } })
    const jws = signed?.jws as string
    const parsed = parseEntry(jws, options)
    expect(parsed.jws).toBe(jws)
    expect(parsed.hash).toBe(signed?.hash)
    expect(parsed.hash).toBe(entryHash(jws))
    expect(parsed.hash).toBe(sha256Hex(Buffer.from(jws)))
    expect(parsed.header).toMatchObject({ alg: 'EdDSA', typ: 'JWS' })
    expect(parsed.signingInput.toString()).toBe(jws.slice(0, jws.lastIndexOf('.')))
    expect(parsed.signature).toHaveLength(64)
    expect(parsed.entry.labels['principal']).toBe('spiffe://kest.test/hop1')
    for (const part of [
      parsed.header,
      parsed.entry,
      parsed.entry.labels,
      parsed.entry.policy_context.deviations,
    ]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  it('F-AE-03 tolerates members that it does not know, which are signed', () => {
    const { entry } = parseEntry(withPayload({ zz_extension: { a: [1.5] } }), options)
    expect(entry).toHaveProperty('zz_extension.a', [1.5])
  })

  it('says at which entry, and its id once that could be read', async () => {
    const id = nextId()
    expect(await parse(withPayload({ entry_id: id, operation: '' }))).toEqual({
      code: 'ERR_KEST_ENTRY_SCHEMA',
      index: 3,
      entryId: id,
    })
    expect(await parse('a.b')).toMatchObject({ index: 3, entryId: null })
    expect(await verdict(() => parseEntry('', { limits: DEFAULT_LIMITS }))).toMatchObject({ index: null })
  })

  describe('K-STRICT form', () => {
    const jws = compact(header, text, signer)
    const [h, p, s] = jws.split('.') as [string, string, string]
    it.each<[string, unknown]>([
      ['nothing', undefined],
      ['a number', 5],
      ['an object that would be text', { toString: () => jws }],
      ['empty text', ''],
      ['one segment', h],
      ['two segments', `${h}.${p}`],
      ['four segments', `${jws}.${s}`],
      ['an empty header', `.${p}.${s}`],
      ['an empty payload', `${h}..${s}`],
      ['an empty signature', `${h}.${p}.`],
      ['padding', `${jws}=`],
      ['padding of the payload', `${h}.${p}==.${s}`],
      ['standard base64', `${h}.${p}.${'+'.repeat(86)}`],
      ['white space at the end', `${jws}\n`],
      ['white space in the middle', `${h}. ${p}.${s}`],
      ['a character beyond ASCII', `${h}.${p}.${s.slice(1)}é`],
      [
        'a character that is ASCII but for its upper byte',
        `${h}.${p}.${s.slice(1)}${String.fromCharCode(0x141)}`,
      ],
      ['a length that base64 does not have', `${h}.${p}.${s}AAA`],
      ['JSON serialization', `{"protected":"${h}","payload":"${p}","signature":"${s}"}`],
    ])('refuses %s', async (_, value) => {
      expect((await parse(value)).code).toBe('ERR_KEST_ENTRY_MALFORMED')
    })

    it('refuses every other last character of each segment', async () => {
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      const segments = [h, p, s].map((segment) => (segment.length % 4 === 0 ? null : segment))
      expect(segments.filter((segment) => segment !== null).length).toBeGreaterThan(0)
      for (const [i, segment] of segments.entries()) {
        if (segment === null) continue
        const bytes = Buffer.from(segment, 'base64url')
        for (const character of alphabet) {
          const other: string = segment.slice(0, -1) + character
          // Only what says the same bytes in another spelling is the form's business.
          if (other === segment || !Buffer.from(other, 'base64url').equals(bytes)) continue
          const spelled = [h, p, s].with(i, other).join('.')
          expect((await parse(spelled)).code).toBe('ERR_KEST_ENTRY_MALFORMED')
        }
      }
    })
  })

  describe('K-STRICT header', () => {
    const certificate = Buffer.from('certificate').toString('base64')
    it.each<[string, string | object, string]>([
      ['no JSON', '{', 'ERR_KEST_ENTRY_MALFORMED'],
      ['an array', '[]', 'ERR_KEST_ENTRY_MALFORMED'],
      ['null', 'null', 'ERR_KEST_ENTRY_MALFORMED'],
      ['a byte order mark', `\ufeff${JSON.stringify(header)}`, 'ERR_KEST_ENTRY_MALFORMED'],
      ['a member twice', '{"alg":"EdDSA","typ":"JWS","typ":"JWS"}', 'ERR_KEST_ENTRY_HEADER'],
      ['a member twice, escaped', '{"alg":"EdDSA","\\u0074yp":"JWS","typ":"JWS"}', 'ERR_KEST_ENTRY_HEADER'],
      ['a member twice, deeper', '{"alg":"EdDSA","typ":"JWS","x":{"a":1,"a":1}}', 'ERR_KEST_ENTRY_HEADER'],
      ['no alg', { typ: 'JWS' }, 'ERR_KEST_ALG'],
      ['alg none', { ...header, alg: 'none' }, 'ERR_KEST_ALG'],
      ['a symmetric alg', { ...header, alg: 'HS256' }, 'ERR_KEST_ALG'],
      ['an alg of a curve that is not allowed', { ...header, alg: 'ES256K' }, 'ERR_KEST_ALG'],
      ['an alg in lower case', { ...header, alg: 'eddsa' }, 'ERR_KEST_ALG'],
      ['an alg that is a list', { ...header, alg: ['EdDSA'] }, 'ERR_KEST_ALG'],
      ['an alg of the prototype', { ...header, alg: 'constructor' }, 'ERR_KEST_ALG'],
      ['no typ', { alg: 'EdDSA' }, 'ERR_KEST_ENTRY_HEADER'],
      ['another typ', { ...header, typ: 'JWT' }, 'ERR_KEST_ENTRY_HEADER'],
      ['typ in lower case', { ...header, typ: 'jws' }, 'ERR_KEST_ENTRY_HEADER'],
      ['crit', { ...header, crit: ['exp'], exp: 1 }, 'ERR_KEST_ENTRY_HEADER'],
      ['crit that is empty', { ...header, crit: [] }, 'ERR_KEST_ENTRY_HEADER'],
      ['crit that is null', { ...header, crit: null }, 'ERR_KEST_ENTRY_HEADER'],
      ['b64', { ...header, b64: true }, 'ERR_KEST_ENTRY_HEADER'],
      ['a kid that is no text', { ...header, kid: 5 }, 'ERR_KEST_ENTRY_HEADER'],
      ['an x5c that is text', { ...header, x5c: certificate }, 'ERR_KEST_ENTRY_HEADER'],
      ['an x5c that is null', { ...header, x5c: null }, 'ERR_KEST_ENTRY_HEADER'],
      ['an x5c that is empty', { ...header, x5c: [] }, 'ERR_KEST_ENTRY_HEADER'],
      ['an x5c of numbers', { ...header, x5c: [5] }, 'ERR_KEST_ENTRY_HEADER'],
      ['an empty certificate', { ...header, x5c: [''] }, 'ERR_KEST_ENTRY_HEADER'],
      ['an x5c in base64url', { ...header, x5c: ['-_-_'] }, 'ERR_KEST_ENTRY_HEADER'],
      [
        'an x5c without padding',
        { ...header, x5c: [certificate.replaceAll('=', '')] },
        'ERR_KEST_ENTRY_HEADER',
      ],
      ['an x5c with white space', { ...header, x5c: [`${certificate}\n`] }, 'ERR_KEST_ENTRY_HEADER'],
      ['too many certificates', { ...header, x5c: Array(5).fill(certificate) }, 'ERR_KEST_LIMIT'],
      ['nesting', `{"alg":"EdDSA","typ":"JWS","x":${'['.repeat(3000)}${']'.repeat(3000)}}`, 'ERR_KEST_LIMIT'],
    ])('refuses %s', async (_, wrong, code) => {
      expect((await parse(compact(wrong, text, signer))).code).toBe(code)
      // And again, for headers are remembered.
      expect((await parse(compact(wrong, text, signer))).code).toBe(code)
    })

    it('refuses bytes that are not UTF-8', async () => {
      const bytes = Buffer.from('{"alg":"EdDSA","typ":"JWS","x":"é"}', 'latin1').toString('base64url')
      const { code } = await parse(`${bytes}.${base64url(text)}.AAAA`)
      expect(code).toBe('ERR_KEST_ENTRY_MALFORMED')
    })

    it('keeps members that it does not know, and judges each limit by itself', async () => {
      const x5c = Array(4).fill(certificate)
      const jws = compact({ ...header, kid: undefined, x5c, jku: 'https://a.test', jwk: {} }, text, signer)
      expect(parseEntry(jws, options).header).toMatchObject({ x5c, jku: 'https://a.test' })
      expect((await parse(jws, resolveLimits({ certificates: 3 }))).code).toBe('ERR_KEST_LIMIT')
    })
  })

  describe('K-STRICT payload', () => {
    it.each<[string, string | Uint8Array, string]>([
      ['no JSON', '{', 'ERR_KEST_ENTRY_MALFORMED'],
      ['a byte order mark', `\ufeff${text}`, 'ERR_KEST_ENTRY_MALFORMED'],
      [
        'bytes that are not UTF-8',
        Buffer.from(text.replace('orders', 'ordérs'), 'latin1'),
        'ERR_KEST_ENTRY_MALFORMED',
      ],
      [
        'an overlong encoding',
        Buffer.concat([Buffer.from('"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"')]),
        'ERR_KEST_ENTRY_MALFORMED',
      ],
      [
        'a surrogate in UTF-8',
        Buffer.concat([Buffer.from('"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"')]),
        'ERR_KEST_ENTRY_MALFORMED',
      ],
      ['white space', `${text} `, 'ERR_KEST_ENTRY_NOT_CANONICAL'],
      ['a lone surrogate, escaped', text.replace('orders', '\\ud800'), 'ERR_KEST_ENTRY_NOT_CANONICAL'],
      [
        'a member twice',
        text.replace('"schema_version"', '"schema_version":"0.3.0","schema_version"'),
        'ERR_KEST_ENTRY_NOT_CANONICAL',
      ],
      [
        'a number in another spelling',
        text.replace('"trust_score":100', '"trust_score":1e2'),
        'ERR_KEST_ENTRY_NOT_CANONICAL',
      ],
      ['an array', '[]', 'ERR_KEST_ENTRY_SCHEMA'],
      ['null', 'null', 'ERR_KEST_ENTRY_SCHEMA'],
      ['text', '"a"', 'ERR_KEST_ENTRY_SCHEMA'],
    ])('refuses %s', async (_, payload, code) => {
      expect((await parse(compact(header, payload, signer))).code).toBe(code)
    })
  })

  describe('F-AE-04 to F-AE-13 fields', () => {
    const hash = 'a'.repeat(64)
    const labels = { principal: 'p' }
    const policies = entryWith().policy_context
    it.each<[string, unknown]>([
      ['schema_version', '0.2.0'],
      ['schema_version', 0.3],
      ['runtime', 'kest'],
      ['runtime', { name: 'a' }],
      ['runtime', { name: 'a', version: 1 }],
      ['runtime', ['a', 'b']],
      ['entry_id', '0195c8a0-0000-4000-8000-000000000001'],
      ['entry_id', '0195C8A0-0000-7000-8000-00000000000A'],
      ['entry_id', '0195c8a0-0000-7000-c000-000000000001'],
      ['entry_id', '0195c8a0-0000-7000-8000-000000000001\n'],
      ['entry_id', 7],
      ['operation', ''],
      ['operation', null],
      ['classification', null],
      ['trust_score', 101],
      ['trust_score', -1],
      ['trust_score', 50.5],
      ['trust_score', '100'],
      ['trust_score', null],
      ['parent_ids', []],
      ['parent_ids', '0'],
      ['parent_ids', ['0', hash]],
      ['parent_ids', [hash, '0']],
      ['parent_ids', ['0', '0']],
      ['parent_ids', [hash, hash]],
      ['parent_ids', [hash.toUpperCase()]],
      ['parent_ids', [hash.slice(1)]],
      ['parent_ids', [0]],
      ['added_taints', null],
      ['added_taints', [1]],
      ['removed_taints', {}],
      ['removed_taints', [null]],
      ['taints', 'a'],
      ['taints', ['a', 'a']],
      ['labels', []],
      ['labels', null],
      ['labels', {}],
      ['labels', { principal: '' }],
      ['labels', { principal: null }],
      ['labels', { ...labels, n: 1 }],
      ['labels', { ...labels, trace_id: 'A'.repeat(32) }],
      ['labels', { ...labels, trace_id: '0'.repeat(32) }],
      ['labels', { ...labels, trace_id: 'a'.repeat(31) }],
      ['labels', { ...labels, trace_id: '' }],
      ['labels', { ...labels, 'kest.identity': 'alice' }],
      ['labels', { ...labels, 'kest.identity': '{"user":5}' }],
      ['policy_context', null],
      ['policy_context', { ...policies, enterprise_policies: null }],
      ['policy_context', { ...policies, platform_policies: [1] }],
      ['policy_context', { ...policies, app_policies: 'a' }],
      ['policy_context', { ...policies, deviations: {} }],
      ['policy_context', { ...policies, deviations: [{ policy: 'p', tier: 't', reason: 'r' }] }],
      ['policy_context', { ...policies, deviations: [null] }],
      ['environment', null],
      ['environment', []],
      ['otel_context', 'x'],
      ['content_hash', null],
      ['content_hash', hash.toUpperCase()],
      ['input_hash', 'abc'],
      ['timestamp_ms', -1],
      ['timestamp_ms', 1.5],
      ['timestamp_ms', 2 ** 53],
      ['timestamp_ms', '1'],
    ])('refuses a %s that is %j', async (name, value) => {
      expect((await parse(withPayload({ [name]: value }))).code).toBe('ERR_KEST_ENTRY_SCHEMA')
    })

    it.each(Object.keys(entryWith()))('refuses an entry without %s', async (name) => {
      expect((await parse(withPayload({ [name]: undefined }))).code).toBe('ERR_KEST_ENTRY_SCHEMA')
    })

    it.each(Object.keys(policies))('refuses a policy_context without %s', async (name) => {
      const { [name as keyof typeof policies]: _, ...others } = policies
      expect((await parse(withPayload({ policy_context: others }))).code).toBe('ERR_KEST_ENTRY_SCHEMA')
    })

    it.each<[string, unknown]>([
      ['trust_score', 0],
      ['classification', ''],
      ['parent_ids', [hash, 'b'.repeat(64)]],
      ['taints', ['b', 'a']],
      ['added_taints', ['a', 'a']],
      ['labels', { principal: 'p', __proto__: null, constructor: 'x' }],
      ['metadata', [1, { a: null }]],
      ['content_hash', hash],
      ['timestamp_ms', 0],
    ])('accepts a %s that is %j', (name, value) => {
      expect(parseEntry(withPayload({ [name]: value }), options).entry).toMatchObject({ [name]: value })
    })
  })

  it('K-LIMIT refuses an entry that is too long before it reads any of it', async () => {
    expect((await parse('é'.repeat(32_769))).code).toBe('ERR_KEST_LIMIT')
    expect((await parse('é'.repeat(32_768))).code).toBe('ERR_KEST_ENTRY_MALFORMED')
    const jws = compact(header, text, signer)
    expect((await parse(jws, resolveLimits({ entryBytes: jws.length - 1 }))).code).toBe('ERR_KEST_LIMIT')
    expect(parseEntry(jws, { limits: resolveLimits({ entryBytes: jws.length }) }).jws).toBe(jws)
  })

  it('K-STRICT reads no JWS of Wycheproof as an entry, whatever is wrong or right with it', async () => {
    const file = vectors('wycheproof').find(({ name }) => name === 'json_web_signature_test.json')
    const { testGroups } = JSON.parse(file?.text ?? '') as { testGroups: { tests: { jws: string }[] }[] }
    const all = testGroups.flatMap(({ tests }) => tests)
    expect(all.length).toBe(401)
    for (const { jws } of all) await parse(jws)
  })
})
