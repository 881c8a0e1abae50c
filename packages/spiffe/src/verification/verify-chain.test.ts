import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  DOMAIN,
  ec,
  HOP1,
  HOUR,
  LEAF,
  leafOf,
  NOW,
  nameConstraints,
  rsa,
  type Signer,
  signerOf,
  unknownExtension,
} from '../../tests/support/certificates.js'
import { createBundleSet } from '../bundle/bundle-set.js'
import { X509Bundle } from '../bundle/x509-bundle.js'
import {
  basicConstraints,
  extendedKeyUsage,
  extension,
  issueCertificate,
  keyUsage,
  name,
  uriNames,
} from '../dev-authority/certificate.js'
import * as der from '../dev-authority/der.js'
import { SpiffeError, type SpiffeErrorCode } from '../errors.js'
import { OID } from '../x509/oid.js'
import { verifyX509Chain } from './verify-chain.js'

const root = signerOf('root')
const intermediate = signerOf('intermediate', root)
const lower = signerOf('lower intermediate', intermediate)
const partner = signerOf('partner')
const bundles = createBundleSet({
  [DOMAIN]: new X509Bundle(DOMAIN, [root.certificate]),
  'partner.test': new X509Bundle('partner.test', [partner.certificate]),
})

function verify(chain: readonly Uint8Array[], time = NOW): string {
  return verifyX509Chain(chain, bundles, { time }).id.toString()
}

function trusting(...anchors: readonly Uint8Array[]): typeof bundles {
  return createBundleSet({ [DOMAIN]: new X509Bundle(DOMAIN, anchors) })
}

describe('verifyX509Chain: what holds', () => {
  const valid: Readonly<Record<string, () => readonly Uint8Array[]>> = {
    'leaf-of-the-root': () => [leafOf(root)],
    'one-intermediate': () => [leafOf(intermediate), intermediate.certificate],
    'two-intermediates': () => [leafOf(lower), lower.certificate, intermediate.certificate],
    'leaf-with-a-P-384-key': () => [leafOf(root, {}, { keys: ec('P-384') })],
    'leaf-with-an-RSA-2048-key': () => [leafOf(root, {}, { keys: rsa(2048) })],
    'leaf-without-basic-constraints': () => [leafOf(root, { basicConstraints: undefined })],
    'leaf-without-extended-key-usage': () => [leafOf(root, { extendedKeyUsage: undefined })],
    'leaf-with-a-DNS-name-beside-its-ID': () => [leafOf(root, { names: idAndDnsName() })],
    'leaf-without-subject-and-critical-names': () => [
      leafOf(root, { names: uriNames([HOP1], true) }, { subject: name({}) }),
    ],
    'leaf-with-keyEncipherment': () => [
      leafOf(root, { keyUsage: keyUsage(['digitalSignature', 'keyEncipherment']) }),
    ],
    'unknown-extension-nested-without-end': () => [leafOf(root, { deep: deepExtension() })],
    'unknown-extension-that-is-not-critical': () => [leafOf(root, { unknown: unknownExtension(false) })],
    'pathlen-just-long-enough': () => {
      const upper = signerOf('upper', root, { basicConstraints: basicConstraints(true, 1) })
      const below = signerOf('below', upper, { basicConstraints: basicConstraints(true, 0) })
      return [leafOf(below), below.certificate, upper.certificate]
    },
    'name-constraints-that-permit-the-domain': () => {
      const limited = signerOf('limited', root, { names: nameConstraints({ permitted: ['.test', DOMAIN] }) })
      return [leafOf(limited), limited.certificate]
    },
    'name-constraints-that-permit-hosts-below': () => {
      const limited = signerOf('limited', root, { names: nameConstraints({ permitted: ['.org'] }) })
      return [leafOf(limited), limited.certificate]
    },
  }

  it.each(Object.entries(valid))('K-X5C accepts %s', (_fixture, make) => {
    expect(verify(make())).toBe(HOP1)
  })

  it('gives the key of the leaf', () => {
    const keys = ec()
    const { publicKey } = verifyX509Chain([leafOf(root, {}, { keys })], bundles, { time: NOW })
    expect(publicKey.equals(keys.publicKey)).toBe(true)
  })

  it('judges of an authority its name, key and expiry, not its profile', () => {
    const bare = signerOf('bare', undefined, { keyUsage: undefined, basicConstraints: undefined })
    const short = signerOf('short', undefined, { basicConstraints: basicConstraints(true, 0) })
    const below = signerOf('below', short)
    for (const [chain, anchor] of [
      [[leafOf(bare)], bare],
      [[leafOf(below), below.certificate], short],
    ] as const) {
      expect(verifyX509Chain(chain, trusting(anchor.certificate), { time: NOW }).id.toString()).toBe(HOP1)
    }
  })

  it('takes an intermediate for the authority that the bundle says it is', () => {
    const chain = [leafOf(intermediate), intermediate.certificate]
    expect(verifyX509Chain(chain, trusting(intermediate.certificate), { time: NOW }).id.toString()).toBe(HOP1)
  })

  it('finds the authority among others of the same name', () => {
    const namesakes = [signerOf('root'), signerOf('root'), signerOf('root')]
    const anchors = [...namesakes, root].map(({ certificate }) => certificate)
    for (const by of [...namesakes, root]) {
      expect(verifyX509Chain([leafOf(by)], trusting(...anchors), { time: NOW }).id.toString()).toBe(HOP1)
    }
  })

  it('takes an authority that was renewed with the same key for as long as either certificate lasts', () => {
    const renewed = signerOf('root', undefined, {}, { keys: root.keys, notAfter: NOW + 100 * HOUR })
    const chain = [leafOf(root, {}, { notAfter: NOW + 99 * HOUR })]
    const late = { time: NOW + 50 * HOUR }
    expect(() => verifyX509Chain(chain, trusting(root.certificate), late)).toThrow('not at')
    expect(verifyX509Chain(chain, trusting(root.certificate, renewed.certificate), late).id.toString()).toBe(
      HOP1,
    )
  })
})

type Defect = {
  readonly chain: readonly Uint8Array[]
  readonly time?: number
  readonly code: SpiffeErrorCode
  readonly says: string
}

const SVID = 'ERR_SPIFFE_X509_SVID'
const CHAIN = 'ERR_SPIFFE_CHAIN'

/** Each is a chain that would hold, but for what its name says. */
const defects: Readonly<Record<string, () => Defect>> = {
  // X509-SVID §2, §3.1: the leaf's ID
  'leaf-with-two-uri-names': () => ofLeaf({ names: uriNames([HOP1, HOP1]) }, SVID, 'exactly one URI'),
  'leaf-with-two-ids': () =>
    ofLeaf({ names: uriNames([HOP1, `spiffe://${DOMAIN}/hop2`]) }, SVID, 'exactly one URI'),
  'leaf-with-an-id-and-another-uri': () =>
    ofLeaf({ names: uriNames([HOP1, 'https://example.org/']) }, SVID, 'exactly one URI'),
  'leaf-without-names': () => ofLeaf({ names: undefined }, SVID, 'exactly one URI'),
  'leaf-with-a-dns-name-only': () =>
    ofLeaf(
      { names: extension(OID.subjectAltName, false, der.sequence(dnsName('example.org'))) },
      SVID,
      'exactly one URI',
    ),
  'leaf-with-an-https-uri': () =>
    ofLeaf({ names: uriNames(['https://example.org/hop1']) }, SVID, 'not a SPIFFE ID'),
  'leaf-with-an-id-in-upper-case': () =>
    ofLeaf({ names: uriNames(['spiffe://Example.org/hop1']) }, SVID, 'not a SPIFFE ID'),
  'leaf-with-an-id-without-path': () =>
    ofLeaf({ names: uriNames([`spiffe://${DOMAIN}`]) }, SVID, 'has a path'),
  'leaf-with-an-id-with-a-trailing-slash': () =>
    ofLeaf({ names: uriNames([`spiffe://${DOMAIN}/`]) }, SVID, 'not a SPIFFE ID'),
  'leaf-with-a-query': () => ofLeaf({ names: uriNames([`${HOP1}?a=b`]) }, SVID, 'not a SPIFFE ID'),
  'leaf-with-a-fragment': () => ofLeaf({ names: uriNames([`${HOP1}#a`]) }, SVID, 'not a SPIFFE ID'),
  'leaf-with-a-port': () =>
    ofLeaf({ names: uriNames([`spiffe://${DOMAIN}:443/hop1`]) }, SVID, 'not a SPIFFE ID'),
  'leaf-with-a-user': () =>
    ofLeaf({ names: uriNames([`spiffe://user@${DOMAIN}/hop1`]) }, SVID, 'not a SPIFFE ID'),
  'leaf-with-a-percent-encoded-path': () =>
    ofLeaf({ names: uriNames([`spiffe://${DOMAIN}/hop%31`]) }, SVID, 'not a SPIFFE ID'),
  'leaf-with-an-id-that-a-nul-ends': () =>
    ofLeaf({ names: uriNames([`${HOP1}\0.evil`]) }, SVID, 'not a SPIFFE ID'),
  'leaf-with-an-id-that-is-not-ascii': () =>
    ofLeaf({ names: uriNames([`spiffe://${DOMAIN}/h\u00f6p`]) }, 'ERR_SPIFFE_CERTIFICATE', 'malformed'),
  'leaf-without-subject-and-names-not-critical': () => ({
    chain: [leafOf(root, {}, { subject: name({}) })],
    code: SVID,
    says: 'names are not critical',
  }),

  // X509-SVID §4: the leaf's profile
  'leaf-with-ca-true': () => ofLeaf({ basicConstraints: basicConstraints(true) }, SVID, 'it is a CA'),
  'leaf-without-key-usage': () => ofLeaf({ keyUsage: undefined }, SVID, 'no key usage'),
  'leaf-with-key-usage-not-critical': () =>
    ofLeaf({ keyUsage: keyUsage(['digitalSignature'], false) }, SVID, 'not critical'),
  'leaf-without-digital-signature': () =>
    ofLeaf({ keyUsage: keyUsage(['keyAgreement']) }, SVID, 'lacks digitalSignature'),
  'leaf-with-key-cert-sign': () =>
    ofLeaf({ keyUsage: keyUsage(['digitalSignature', 'keyCertSign']) }, SVID, 'has keyCertSign'),
  'leaf-with-crl-sign': () =>
    ofLeaf({ keyUsage: keyUsage(['digitalSignature', 'cRLSign']) }, SVID, 'has cRLSign'),
  'leaf-with-extended-key-usage-without-client-auth': () =>
    ofLeaf({ extendedKeyUsage: extendedKeyUsage([OID.serverAuth]) }, SVID, 'lacks clientAuth'),
  'leaf-with-extended-key-usage-without-server-auth': () =>
    ofLeaf({ extendedKeyUsage: extendedKeyUsage([OID.clientAuth]) }, SVID, 'lacks serverAuth'),
  'leaf-with-a-critical-unknown-extension': () =>
    ofLeaf({ unknown: unknownExtension(true) }, CHAIN, 'not understood'),
  'leaf-with-an-extension-twice': () =>
    ofLeaf({ again: LEAF.keyUsage }, 'ERR_SPIFFE_CERTIFICATE', 'malformed'),
  'leaf-with-key-usage-under-an-identifier-that-wraps-around': () =>
    ofLeaf({ keyUsage: wrappingKeyUsage() }, SVID, 'no key usage'),
  'leaf-with-a-weak-rsa-key': () => ofChange({ keys: rsa(1024) }, 'RSA: 1024 bits'),
  'leaf-with-a-P-521-key': () => ofChange({ keys: ec('P-521') }, 'is needed'),
  'leaf-with-a-secp256k1-key': () => ofChange({ keys: ec('secp256k1') }, 'is needed'),
  'leaf-signed-with-sha1': () => ofChange({ digest: 'sha1' }, 'not allowed'),
  'leaf-of-version-1': () => ({
    chain: [
      issueCertificate(
        { subject: name({}), publicKey: ec().publicKey, notBefore: NOW, notAfter: NOW, extensions: [] },
        root.issuer,
      ),
    ],
    code: SVID,
    says: 'exactly one URI',
  }),

  // Times
  'leaf-expired': () => ({
    chain: [leafOf(root)],
    time: NOW + HOUR + 1,
    code: 'ERR_SPIFFE_EXPIRED',
    says: 'not at',
  }),
  'leaf-not-yet-valid': () => ({
    chain: [leafOf(root)],
    time: NOW - HOUR - 1,
    code: 'ERR_SPIFFE_EXPIRED',
    says: 'not at',
  }),
  'intermediate-expired': () => ofIntermediate({}, 'not at', { notAfter: NOW - 1000 }, 'ERR_SPIFFE_EXPIRED'),
  'intermediate-not-yet-valid': () =>
    ofIntermediate({}, 'not at', { notBefore: NOW + 1000 }, 'ERR_SPIFFE_EXPIRED'),

  // Trust
  'leaf-of-a-domain-without-bundle': () =>
    ofLeaf(
      { names: uriNames(['spiffe://stranger.test/hop1']) },
      'ERR_SPIFFE_BUNDLE_UNKNOWN',
      'no bundle of stranger.test',
    ),
  'leaf-of-another-domains-authority': () => ({
    chain: [leafOf(partner)],
    code: CHAIN,
    says: 'no authority of example.org',
  }),
  'leaf-of-a-rogue-ca-of-the-same-name': () => ({
    chain: [leafOf(signerOf('root'))],
    code: CHAIN,
    says: 'no authority',
  }),
  'leaf-of-a-rogue-ca-that-comes-with-it': () => {
    const rogue = signerOf('root')
    return { chain: [leafOf(rogue), rogue.certificate], code: CHAIN, says: 'leads to no authority' }
  },
  'leaf-signed-by-a-leaf': () => {
    const keys = ec()
    const subject = name({ organization: 'SPIFFE' })
    const above = leafOf(root, {}, { keys })
    return {
      chain: [leafOf({ issuer: { subject, privateKey: keys.privateKey } }), above],
      code: CHAIN,
      says: 'not a CA',
    }
  },
  'leaf-signed-by-itself': () => {
    const keys = ec()
    const issuer = { subject: name({ organization: 'SPIFFE' }), privateKey: keys.privateKey }
    return { chain: [leafOf({ issuer }, {}, { keys })], code: CHAIN, says: 'no authority' }
  },
  'leaf-whose-signature-was-changed': () => ({
    chain: [flipLastBit(leafOf(root))],
    code: CHAIN,
    says: 'no authority',
  }),
  'intermediate-of-a-rogue-ca': () => {
    const rogue = signerOf('intermediate', signerOf('root'))
    return { chain: [leafOf(rogue), rogue.certificate], code: CHAIN, says: 'no authority' }
  },
  'leaf-of-another-key-than-the-intermediate-named': () => ({
    chain: [leafOf(signerOf('intermediate', root)), intermediate.certificate],
    code: CHAIN,
    says: 'not signed with the key',
  }),

  // RFC 5280, X509-SVID §4: those that sign
  'intermediate-not-a-ca': () => ofIntermediate({ basicConstraints: basicConstraints(false) }, 'not a CA'),
  'intermediate-without-basic-constraints': () => ofIntermediate({ basicConstraints: undefined }, 'not a CA'),
  'intermediate-without-key-cert-sign': () =>
    ofIntermediate({ keyUsage: keyUsage(['cRLSign']) }, 'lacks keyCertSign'),
  'intermediate-without-key-usage': () => ofIntermediate({ keyUsage: undefined }, 'no key usage'),
  'intermediate-with-an-id-with-a-path': () => ofIntermediate({ id: uriNames([HOP1]) }, 'has a path'),
  'intermediate-with-two-uri-names': () =>
    ofIntermediate({ id: uriNames([`spiffe://${DOMAIN}`, 'spiffe://partner.test']) }, 'at most one URI'),
  'intermediate-with-a-critical-unknown-extension': () =>
    ofIntermediate({ unknown: unknownExtension(true) }, 'not understood'),
  'intermediate-with-a-weak-rsa-key': () => ofIntermediate({}, 'RSA: 1024 bits', { keys: rsa(1024) }),
  'intermediate-signed-with-sha1': () => ofIntermediate({}, 'not allowed', { digest: 'sha1' }),
  'intermediate-that-excludes-the-domain': () =>
    ofIntermediate({ limits: nameConstraints({ excluded: [DOMAIN] }) }, 'excludes'),
  'intermediate-that-excludes-hosts-below': () =>
    ofIntermediate({ limits: nameConstraints({ excluded: ['.org'] }) }, 'excludes'),
  'intermediate-that-permits-another-domain': () =>
    ofIntermediate({ limits: nameConstraints({ permitted: ['partner.test'] }) }, 'does not permit'),
  'intermediate-that-permits-only-hosts-below': () =>
    ofIntermediate({ limits: nameConstraints({ permitted: [`.${DOMAIN}`] }) }, 'does not permit'),
  'intermediate-that-constrains-dns-names': () =>
    ofIntermediate({ limits: nameConstraints({ permittedDns: [DOMAIN] }) }, 'not supported'),
  'pathlen-exceeded': () => {
    const upper = signerOf('upper', root, { basicConstraints: basicConstraints(true, 0) })
    const below = signerOf('below', upper)
    return { chain: [leafOf(below), below.certificate, upper.certificate], code: CHAIN, says: 'allows 0' }
  },
  'constraints-of-an-upper-intermediate': () => {
    const upper = signerOf('upper', root, { limits: nameConstraints({ permitted: ['partner.test'] }) })
    const below = signerOf('below', upper)
    return {
      chain: [leafOf(below), below.certificate, upper.certificate],
      code: CHAIN,
      says: 'does not permit',
    }
  },

  // K-X5C: one spelling of a chain
  'root-included': () => ({ chain: [leafOf(root), root.certificate], code: CHAIN, says: 'holds a root' }),
  'root-included-behind-an-intermediate': () => ({
    chain: [leafOf(intermediate), intermediate.certificate, root.certificate],
    code: CHAIN,
    says: 'holds a root',
  }),
  'intermediate-missing': () => ({ chain: [leafOf(intermediate)], code: CHAIN, says: 'no authority' }),
  'intermediate-between-missing': () => ({
    chain: [leafOf(lower), intermediate.certificate],
    code: CHAIN,
    says: 'not issued by',
  }),
  'intermediates-shuffled': () => ({
    chain: [leafOf(lower), intermediate.certificate, lower.certificate],
    code: CHAIN,
    says: 'leads to no authority',
  }),
  'intermediate-first': () => ({
    chain: [intermediate.certificate, leafOf(intermediate)],
    code: SVID,
    says: 'URI',
  }),
  'intermediate-twice': () => ({
    chain: [leafOf(intermediate), intermediate.certificate, intermediate.certificate],
    code: CHAIN,
    says: 'not issued by',
  }),
  'leaf-twice': () => {
    const leaf = leafOf(root)
    return { chain: [leaf, leaf], code: CHAIN, says: 'not a CA' }
  },
  'extra-intermediate': () => ({
    chain: [leafOf(root), intermediate.certificate],
    code: CHAIN,
    says: 'not issued by',
  }),
  'more-certificates-than-allowed': () => ({
    chain: Array.from({ length: 5 }, () => leafOf(root)),
    code: CHAIN,
    says: 'allowed are 4',
  }),
  'no-certificate': () => ({ chain: [], code: CHAIN, says: 'no certificate' }),

  // What is no certificate
  'empty-certificate': () => unreadable(Buffer.alloc(0)),
  'garbage-certificate': () => unreadable(Buffer.from('not a certificate')),
  'truncated-certificate': () => unreadable(leafOf(root).subarray(0, -1)),
  'certificate-with-bytes-behind-it': () => unreadable(Buffer.concat([leafOf(root), Buffer.of(0)])),
  'certificates-in-one': () => unreadable(Buffer.concat([leafOf(intermediate), intermediate.certificate])),
  'leaf-that-carries-another-as-pem': () => unreadable(carrying(leafOf(root))),
  'intermediate-that-carries-another-as-pem': () => ({
    ...unreadable(carrying(intermediate.certificate)),
    chain: [leafOf(intermediate), carrying(intermediate.certificate)],
  }),
  'certificate-as-pem': () => unreadable(Buffer.from(new X509Certificate(leafOf(root)).toString())),
}

describe('verifyX509Chain: what does not hold', () => {
  it.each(Object.entries(defects))('refuses %s', (_fixture, make) => {
    const { chain, time = NOW, code, says } = make()
    const error = caught(() => verify(chain, time))
    expect(error).toBeInstanceOf(SpiffeError)
    expect((error as SpiffeError).code).toBe(code)
    expect((error as SpiffeError).message).toContain(says)
  })

  it('refuses what an authority that has expired signed', () => {
    const old = signerOf('old', undefined, {}, { notAfter: NOW - 1000 })
    const chain = [leafOf(old)]
    expect(() => verifyX509Chain(chain, trusting(old.certificate), { time: NOW })).toThrow('not at')
    expect(verifyX509Chain(chain, trusting(old.certificate), { time: NOW - 2000 }).id.toString()).toBe(HOP1)
  })

  it('refuses what an authority with a weak key signed', () => {
    const weak = signerOf('weak', undefined, {}, { keys: rsa(1024) })
    expect(() => verifyX509Chain([leafOf(weak)], trusting(weak.certificate), { time: NOW })).toThrow(
      '1024 bits',
    )
  })

  it('refuses everything under an empty bundle', () => {
    expect(() => verifyX509Chain([leafOf(root)], trusting(), { time: NOW })).toThrow('no authority')
  })

  it('refuses the answer of a source that pools domains', () => {
    const pooling = { getX509Bundle: () => new X509Bundle('partner.test', [root.certificate]) }
    expect(() => verifyX509Chain([leafOf(root)], pooling, { time: NOW })).toThrow('got that of partner.test')
  })

  it('K-LIMIT takes limits, each on its own', () => {
    const chain = [leafOf(intermediate), intermediate.certificate]
    expect(() => verifyX509Chain(chain, bundles, { time: NOW, limits: { certificates: 1 } })).toThrow(
      'allowed are 1',
    )
    const large = [leafOf(root, {}, { keys: rsa(3072) })]
    expect(() => verifyX509Chain(large, bundles, { time: NOW, limits: { rsaMaxBits: 2048 } })).toThrow(
      '3072 bits',
    )
    const small = [leafOf(root, {}, { keys: rsa(1024) })]
    expect(verifyX509Chain(small, bundles, { time: NOW, limits: { rsaMinBits: 1024 } }).id.toString()).toBe(
      HOP1,
    )
  })

  it('throws nothing but its own errors, whichever byte is changed', () => {
    const chain = [leafOf(intermediate), intermediate.certificate] as const
    for (const [which, original] of chain.entries()) {
      for (let at = 0; at < original.length; at++) {
        const changed = Uint8Array.from(original)
        changed[at] = (changed[at] as number) ^ 0x20
        const error = caught(() => verify(chain.map((one, i) => (i === which ? changed : one))))
        expect(error, `certificate ${which}, byte ${at}`).toBeInstanceOf(SpiffeError)
      }
    }
  })
})

function ofLeaf(replaced: Parameters<typeof leafOf>[1], code: SpiffeErrorCode, says: string): Defect {
  return { chain: [leafOf(root, replaced)], code, says }
}

function ofChange(change: Parameters<typeof leafOf>[2], says: string): Defect {
  return { chain: [leafOf(root, {}, change)], code: CHAIN, says }
}

function ofIntermediate(
  replaced: Parameters<typeof signerOf>[2],
  says: string,
  change: Parameters<typeof signerOf>[3] = {},
  code: SpiffeErrorCode = CHAIN,
): Defect {
  const by: Signer = signerOf('by', root, replaced, change)
  return { chain: [leafOf(by), by.certificate], code, says }
}

function unreadable(certificate: Uint8Array): Defect {
  return { chain: [certificate], code: 'ERR_SPIFFE_CERTIFICATE', says: 'certificate' }
}

/**
 * A stranger's, with the ID and the issuer that he likes, and another's in an extension: node:crypto looks for PEM first, and
 * would have that one's signature and key.
 */
function carrying(certificate: Uint8Array): Uint8Array {
  const keys = ec()
  const pem = Buffer.from(`\n${new X509Certificate(certificate)}\n`)
  return leafOf(
    { issuer: { ...root.issuer, privateKey: keys.privateKey } },
    { names: uriNames([HOP1]), carried: extension('1.3.6.1.4.1.99999.1', false, pem) },
    { keys },
  )
}

function idAndDnsName(): Uint8Array {
  return extension(
    OID.subjectAltName,
    false,
    der.sequence(dnsName('hop1.example.org'), der.tagged(6, Buffer.from(HOP1))),
  )
}

function dnsName(text: string): Uint8Array {
  return der.tagged(2, Buffer.from(text))
}

/** 2.5.29.(2^32 + 15): of key usage to whoever counts in 32 bits. */
function wrappingKeyUsage(): Uint8Array {
  const identifier = Buffer.from('0608551d908080800f', 'hex')
  identifier[1] = identifier.length - 2
  return der.sequence(identifier, der.octetString(der.namedBits([0])))
}

function deepExtension(): Uint8Array {
  let inner: Uint8Array = Buffer.alloc(0)
  for (let i = 0; i < 4000; i++) inner = der.octetString(inner)
  return extension('1.3.6.1.4.1.99999.2', false, inner)
}

function flipLastBit(certificate: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(certificate)
  changed[changed.length - 1] = (changed.at(-1) as number) ^ 1
  return changed
}

function caught(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}
