import { createPrivateKey, type KeyObject } from 'node:crypto'
import { types } from 'node:util'
import { assertKnown } from '../assert-known.js'
import { SpiffeError } from '../errors.js'
import type { SpiffeId } from '../id/spiffe-id.js'
import { type Certificate, isSelfSigned, parseCertificate, splitCertificates } from '../x509/certificate.js'
import { checkLeaf, checkSigning } from './profile.js'

/** Certificates in one SVID; SPIRE sends one, and one more for each intermediate authority. */
const MAX_CERTIFICATES = 8

/** An identity as X.509: certificates, and the key that they are of (X509-SVID). */
export interface X509Svid {
  readonly id: SpiffeId
  /** DER, the leaf first, then the intermediates in order, without the root. */
  readonly certificates: readonly Uint8Array[]
  /** Does not show when the SVID is printed or made JSON of. */
  readonly privateKey: KeyObject
  /** What the operator wrote down for the workload to tell several identities apart; empty when nothing. */
  readonly hint: string
  /** When the leaf is valid, milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
}

/**
 * Reads an SVID as the Workload API sends it, and checks its own rules: those for its leaf and for its intermediates
 * (X509-SVID §4, §5.2), and that the key is that of the leaf.
 *
 * Does *not* check that the certificates lead to an authority: {@link verifyX509Chain} does. Does *not* look at the time.
 * Self-issued certificates at the end (a root) are left away: who verifies has their own.
 *
 * @param certificates DER, concatenated or one by one, the leaf first
 * @param pkcs8 the private key, DER PKCS#8. The caller may overwrite it afterwards.
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE`, `ERR_SPIFFE_X509_SVID`. No error shows the key.
 */
export function parseX509Svid(
  certificates: Uint8Array | readonly Uint8Array[],
  pkcs8: Uint8Array,
  options: { readonly hint?: string } = {},
): X509Svid {
  assertKnown('parseX509Svid', options, ['hint'])
  const ders = types.isUint8Array(certificates)
    ? splitCertificates(certificates, MAX_CERTIFICATES)
    : certificates
  const [leaf, ...others] = ders.map((der) => parseCertificate(der))
  if (leaf === undefined) throw new SpiffeError('ERR_SPIFFE_X509_SVID', 'X.509-SVID: it has no certificate')
  const id = checkLeaf(leaf, 'ERR_SPIFFE_X509_SVID')
  for (const other of others) checkSigning(other, 'ERR_SPIFFE_X509_SVID')
  const privateKey = readKey(pkcs8)
  if (!leaf.x509.checkPrivateKey(privateKey)) {
    throw new SpiffeError(
      'ERR_SPIFFE_X509_SVID',
      `X.509-SVID ${id}: the private key is not that of its certificate`,
    )
  }
  return new Svid(id, withoutRoot([leaf, ...others]), privateKey, options.hint ?? '')
}

/** Only `id`, `hint` and times are own members: what prints an object, or makes JSON of it, sees no key. */
class Svid implements X509Svid {
  readonly id: SpiffeId
  readonly hint: string
  readonly notBefore: number
  readonly notAfter: number
  readonly #certificates: readonly Uint8Array[]
  readonly #privateKey: KeyObject

  constructor(id: SpiffeId, chain: readonly Certificate[], privateKey: KeyObject, hint: string) {
    this.id = id
    this.hint = hint
    this.notBefore = (chain[0] as Certificate).notBefore
    this.notAfter = (chain[0] as Certificate).notAfter
    this.#certificates = Object.freeze(chain.map(({ der }) => der))
    this.#privateKey = privateKey
    Object.freeze(this)
  }

  get certificates(): readonly Uint8Array[] {
    return this.#certificates
  }

  get privateKey(): KeyObject {
    return this.#privateKey
  }
}

function withoutRoot(chain: readonly Certificate[]): readonly Certificate[] {
  const end = chain.findLastIndex((certificate) => !isSelfSigned(certificate))
  return chain.slice(0, Math.max(end, 0) + 1)
}

function readKey(pkcs8: Uint8Array): KeyObject {
  try {
    return createPrivateKey({
      key: Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.byteLength),
      format: 'der',
      type: 'pkcs8',
    })
  } catch {
    // The cause may show of which bytes the key is.
    throw new SpiffeError('ERR_SPIFFE_X509_SVID', 'X.509-SVID: its private key cannot be read as PKCS#8')
  }
}
