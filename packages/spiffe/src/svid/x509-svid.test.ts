import { inspect } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { ec, leafOf, signerOf } from '../../tests/support/certificates.js'
import { makeAuthority, makeSvid } from '../../tests/support/material.js'
import type { Authority } from '../dev-authority/authority.js'
import {
  basicConstraints,
  type CertificateRequest,
  issueCertificate,
  keyUsage,
  name,
  uriNames,
} from '../dev-authority/certificate.js'
import { generateKeys, type KeyPair, type KeyType } from '../dev-authority/keys.js'
import { SpiffeError } from '../errors.js'
import { parseX509Svid } from './x509-svid.js'

let authority: Authority
let keys: KeyPair
let pkcs8: Uint8Array

beforeAll(async () => {
  authority = await makeAuthority('example.org', { intermediates: 2 })
  keys = await generateKeys('ec-p256')
  pkcs8 = keys.privateKey.export({ format: 'der', type: 'pkcs8' })
})

const ID = 'spiffe://example.org/hop1'

/** A leaf with an extension or two that are not as they should be. */
function leaf(extensions: CertificateRequest['extensions']): Uint8Array {
  const now = Date.now()
  return issueCertificate(
    {
      subject: name({ organization: 'SPIFFE' }),
      publicKey: keys.publicKey,
      notBefore: now - 1_000,
      notAfter: now + 60_000,
      extensions,
    },
    authority.issuer,
  )
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof SpiffeError) return error.code
    throw error
  }
  return 'none'
}

describe('an X.509-SVID', () => {
  it.each<KeyType>(['ec-p256', 'ec-p384', 'rsa-2048'])('is read with a key of %s', async (keyType) => {
    const { x509Svid, x509SvidKey } = await makeSvid(authority, ID, { keyType, hint: 'internal' })
    const svid = parseX509Svid(x509Svid, x509SvidKey, { hint: 'internal' })
    expect([svid.id.toString(), svid.hint, svid.certificates.length]).toEqual([ID, 'internal', 3])
    expect(svid.notAfter).toBeGreaterThan(Date.now())
    expect(svid.notBefore).toBeLessThan(Date.now())
  })

  it('is read without the root that stands at its end', async () => {
    const { x509Svid, x509SvidKey } = await makeSvid(authority)
    const svid = parseX509Svid(Buffer.concat([x509Svid, authority.root]), x509SvidKey)
    expect(Buffer.concat(svid.certificates)).toEqual(Buffer.from(x509Svid))
  })

  it('keeps an intermediate that has the name of its issuer: self-issued is not self-signed', () => {
    const root = signerOf('one name')
    const intermediate = signerOf('one name', root)
    const keys = ec()
    const chain = [leafOf(intermediate, {}, { keys }), intermediate.certificate]
    const pkcs8 = keys.privateKey.export({ format: 'der', type: 'pkcs8' })
    expect(parseX509Svid(Buffer.concat(chain), pkcs8).certificates).toHaveLength(2)
    expect(parseX509Svid(Buffer.concat([...chain, root.certificate]), pkcs8).certificates).toHaveLength(2)
  })

  it('shows no private key, however it is printed', async () => {
    const { x509Svid, x509SvidKey } = await makeSvid(authority)
    const svid = parseX509Svid(x509Svid, x509SvidKey)
    const secret = String(svid.privateKey.export({ format: 'jwk' }).d)
    const shown =
      inspect(svid, { depth: 9, showHidden: true }) + JSON.stringify(svid) + JSON.stringify({ ...svid })
    expect(shown).not.toContain(secret)
    expect(shown).not.toContain('KeyObject')
  })

  it.each<[string, () => Uint8Array]>([
    ['no-uri-name', () => leaf([keyUsage(['digitalSignature'])])],
    ['two-uri-names', () => leaf([keyUsage(['digitalSignature']), uriNames([ID, 'https://example.org/'])])],
    [
      'uri-name-that-is-no-spiffe-id',
      () => leaf([keyUsage(['digitalSignature']), uriNames(['https://example.org/hop1'])]),
    ],
    [
      'spiffe-id-without-path',
      () => leaf([keyUsage(['digitalSignature']), uriNames(['spiffe://example.org'])]),
    ],
    [
      'spiffe-id-with-port',
      () => leaf([keyUsage(['digitalSignature']), uriNames(['spiffe://example.org:80/hop1'])]),
    ],
    [
      'leaf-with-ca-true',
      () => leaf([keyUsage(['digitalSignature']), basicConstraints(true), uriNames([ID])]),
    ],
    ['no-key-usage', () => leaf([uriNames([ID])])],
    ['key-usage-not-critical', () => leaf([keyUsage(['digitalSignature'], false), uriNames([ID])])],
    ['no-digital-signature', () => leaf([keyUsage(['keyAgreement']), uriNames([ID])])],
    ['leaf-with-key-cert-sign', () => leaf([keyUsage(['digitalSignature', 'keyCertSign']), uriNames([ID])])],
    ['leaf-with-crl-sign', () => leaf([keyUsage(['digitalSignature', 'cRLSign']), uriNames([ID])])],
  ])('is refused with %s', (_name, make) => {
    expect(codeOf(() => parseX509Svid([make()], pkcs8))).toBe('ERR_SPIFFE_X509_SVID')
  })

  it('is refused with the key of another', async () => {
    const { x509Svid } = await makeSvid(authority)
    expect(codeOf(() => parseX509Svid(x509Svid, pkcs8))).toBe('ERR_SPIFFE_X509_SVID')
  })

  it('is refused with a leaf among its intermediates', async () => {
    const good = leaf([keyUsage(['digitalSignature']), uriNames([ID])])
    expect(codeOf(() => parseX509Svid([good, good], pkcs8))).toBe('ERR_SPIFFE_X509_SVID')
  })

  it('is refused without certificates, with bytes that are none, and with a key that is none', async () => {
    const { x509Svid, x509SvidKey } = await makeSvid(authority)
    expect(codeOf(() => parseX509Svid([], x509SvidKey))).toBe('ERR_SPIFFE_X509_SVID')
    expect(codeOf(() => parseX509Svid(Buffer.concat([x509Svid, Buffer.of(1)]), x509SvidKey))).toBe(
      'ERR_SPIFFE_CERTIFICATE',
    )
    expect(codeOf(() => parseX509Svid(x509Svid.subarray(0, -1), x509SvidKey))).toBe('ERR_SPIFFE_CERTIFICATE')
    expect(codeOf(() => parseX509Svid(x509Svid, x509SvidKey.subarray(1)))).toBe('ERR_SPIFFE_X509_SVID')
    expect(codeOf(() => parseX509Svid(Buffer.concat(Array(9).fill(x509Svid)), x509SvidKey))).toBe(
      'ERR_SPIFFE_CERTIFICATE',
    )
  })
})
