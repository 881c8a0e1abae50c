import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TrustDomain } from '@kest/spiffe'
import { beforeEach, describe, expect, it } from 'vitest'
import { createAuthority } from '../../spiffe/dist/dev-authority/authority.js'
import { evidenceOf } from './support/evidence.js'
import { folder, kest, lines } from './support/kest.js'

interface Evidence {
  readonly passport: readonly string[]
  readonly trust: { readonly bundles: Readonly<Record<string, object>> }
}

const evidence = vector('valid-svid-two-hops')
const DOMAIN = 'example.org'
const bundle = evidence.trust.bundles[DOMAIN] as { readonly keys: readonly object[] }
const rogue = vector('invalid-svid-of-a-rogue-ca')

let dir: string
beforeEach(async () => {
  dir = await folder({
    'a.json': evidence,
    'rogue.json': rogue,
    'trust.json': evidence.trust,
    'bundle.json': bundle,
    'empty-bundle.json': { keys: [] },
    'keys-only.json': { keys: {} },
    'broken-bundle.json': { keys: [{ kty: 'EC', use: 'x509-svid', x5c: ['AAAA'] }] },
    'authority.pem': '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
    'repeated.json': `{"bundles":{},${JSON.stringify(evidence.trust).slice(1)}`,
  })
})

const verify = (...args: string[]): ReturnType<typeof kest> => kest(['verify', ...args], { cwd: dir })

describe('kest verify, and certificates', () => {
  it.each([
    ['a trust object with bundles', ['--trust', 'trust.json']],
    ['one SPIFFE bundle and its domain', ['--trust', `${DOMAIN}=bundle.json`]],
    ['the same by older names', ['--trust', 'bundle.json', '--trust-domain', DOMAIN]],
    ['the same as --bundle', ['--bundle', `${DOMAIN}=bundle.json`]],
    ['bundle and keys', ['--bundle', `${DOMAIN}=bundle.json`, '--keys', 'keys-only.json']],
  ])('K-ANCHOR verifies against %s of one’s own', async (_what, trust) => {
    const run = await verify('--json', ...trust, 'a.json')
    expect(run).toMatchObject({ code: 0, stderr: '' })
    expect(lines(run)).toMatchObject([{ ok: true, anchored: true, entries: evidence.passport.length }])
  })

  it.each([
    [
      'a bundle without authorities',
      ['--trust', 'empty-bundle.json', '--trust-domain', DOMAIN],
      'ERR_KEST_CERTIFICATE',
    ],
    [
      "another domain's bundle",
      ['--trust', 'bundle.json', '--trust-domain', 'partner.test'],
      'ERR_KEST_KEY_UNKNOWN',
    ],
    ['keys alone', ['--trust', 'keys-only.json'], 'ERR_KEST_CERTIFICATE_UNSUPPORTED'],
  ])('K-ANCHOR does not fall back on the bundles of the file: %s', async (_what, trust, code) => {
    const run = await verify('--json', ...trust, 'a.json')
    expect(run.code).toBe(1)
    expect(lines(run)).toMatchObject([{ ok: false, code, index: 0 }])
  })

  it.each(['partner.test', 'kest.test'])(
    'says which trust domains there are, and which are needed: %s',
    async (given) => {
      const run = await verify('--trust', `${given}=bundle.json`, 'a.json')
      expect(run.stderr).toBe(
        `kest: the trust material is of ${given}, and entries name ${DOMAIN}: if you trust that, --trust ${DOMAIN}=FILE\n`,
      )
      expect((await verify('--trust', `${DOMAIN}=bundle.json`, 'a.json')).stderr).toBe('')
    },
  )

  it('says of which trust domain a bundle is that is given as that of another', async () => {
    const { root } = await createAuthority(TrustDomain.parse('partner.test'), {
      keyType: 'ec-p256',
      intermediates: 0,
    })
    const { x, y, crv, kty } = new X509Certificate(root).publicKey.export({ format: 'jwk' })
    const jwk = { kty, crv, x, y, use: 'x509-svid', x5c: [Buffer.from(root).toString('base64')] }
    await writeFile(join(dir, 'partner.json'), JSON.stringify({ keys: [jwk] }))
    const run = await verify('--trust', `${DOMAIN}=partner.json`, 'a.json')
    expect(run).toMatchObject({
      code: 1,
      stderr: `kest: the bundle that is given as ${DOMAIN} has certificates of partner.test: was --trust partner.test=FILE meant?\n`,
    })
  })

  it('says nothing strange of a trust domain with a strange name', async () => {
    const path = await folder({
      'a.json': evidenceOf([{ by: 'x', labels: { principal: 'spiffe://__proto__/x' } }]),
      'trust.json': { keys: {}, bundles: {} },
    })
    const run = await kest(['verify', 'a.json', '--trust', 'trust.json'], { cwd: path })
    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('entries name __proto__') })
  })

  it('K-TIME judges certificates at the time that is asked for', async () => {
    const run = await verify('--json', '--at', '2001-01-01T00:00:00Z', 'a.json')
    expect(lines(run)).toMatchObject([{ ok: false, code: 'ERR_KEST_CERTIFICATE', index: 0 }])
  })

  it('says on a terminal why a chain does not hold', async () => {
    const { stdout } = await verify('rogue.json')
    expect(stdout).toMatch(/does not hold\n.*leads to no authority of example\.org.*ERR_KEST_CERTIFICATE/s)
  })

  it.each([
    [['--trust', 'bundle.json'], /name the domain, --trust TRUST-DOMAIN=bundle\.json/],
    [['--trust', 'trust.json', '--trust-domain', DOMAIN], /expected a SPIFFE bundle.*--trust trust\.json/],
    [['--trust-domain', DOMAIN], /--trust-domain is for one --trust FILE/],
    [
      ['--trust', `${DOMAIN}=bundle.json`, '--trust-domain', DOMAIN],
      /--trust-domain is for one --trust FILE/,
    ],
    [['--trust', `spiffe://${DOMAIN}=bundle.json`], /without spiffe:\/\/: example\.org=bundle\.json/],
    [['--trust', `${DOMAIN}=`], /expected \[TRUST-DOMAIN=\]FILE/],
    [['--trust', `${DOMAIN}=authority.pem`], /it is PEM: .*bundle show -format spiffe/],
    [['--trust', 'bundle.json', '--trust-domain', 'Example.org'], /trust domain "Example\.org"/],
    [['--trust', 'bundle.json', '--trust-domain', `${DOMAIN}=x`], /trust domain "example\.org=x"/],
    [['--trust', 'bundle.json', '--trust-domain', 'a/b'], /trust domain "a\/b"/],
    [['--trust', 'bundle.json', '--trust-domain', ''], /expected \[TRUST-DOMAIN=\]FILE/],
    [['--trust', 'broken-bundle.json', '--trust-domain', DOMAIN], /bundle of example\.org: key 0/],
    [['--trust', 'repeated.json'], /a member twice/],
  ])('exits with 2 and judges nothing: %j', async (args, message) => {
    const { code, stdout, stderr } = await verify(...args, 'a.json')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain('mistake in kest')
  })

  it('exits with 2 for bundles of the file that cannot be read', async () => {
    const path = await folder({ 'b.json': { ...evidence, trust: { bundles: { [DOMAIN]: { keys: 5 } } } } })
    const run = await verify('--json', join(path, 'b.json'))
    expect(run.code).toBe(2)
    expect(lines(run)).toMatchObject([{ ok: false, code: 'ERR_KEST_EVIDENCE', index: null }])
  })
})

describe('kest show, and certificates', () => {
  it('shows whom each names and when it is valid', async () => {
    const { code, stdout } = await kest(['show', 'a.json'], { cwd: dir })
    expect(code).toBe(0)
    expect(stdout).toMatch(/signed {6}ES256, 1 certificate\n/)
    expect(stdout).toMatch(
      /certs {7}URI:spiffe:\/\/example\.org\/\S+, from \d{4}-\d\d-\d\dT[\d:.]+Z to \d{4}-\d\d-\d\dT[\d:.]+Z\n/,
    )
  })

  it('says of one that it cannot be read, and shows the rest', async () => {
    const [first = '', ...others] = evidence.passport
    const [header = '', payload, signature] = first.split('.')
    const members = JSON.parse(Buffer.from(header, 'base64url').toString()) as object
    const changed = Buffer.from(JSON.stringify({ ...members, x5c: ['AAAA'] })).toString('base64url')
    const path = await folder({ 'b.json': [`${changed}.${payload}.${signature}`, ...others] })
    const { code, stdout } = await kest(['show', join(path, 'b.json')])
    expect(code).toBe(0)
    expect(stdout).toMatch(/certs {7}cannot be read\n/)
    expect(stdout).toMatch(/certs {7}URI:/)
  })
})

function vector(name: string): Evidence {
  const file = fileURLToPath(new URL(`../../core/tests/vectors/passports/${name}.json`, import.meta.url))
  return JSON.parse(readFileSync(file, 'utf8')) as Evidence
}
