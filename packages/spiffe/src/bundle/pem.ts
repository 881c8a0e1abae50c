import { SpiffeError } from '../errors.js'
import { TrustDomain } from '../id/spiffe-id.js'
import { X509Bundle } from './x509-bundle.js'

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\s([A-Za-z0-9+/=\s]*)-----END \1-----/g

/**
 * Reads authorities of PEM (RFC 7468): `CERTIFICATE` blocks, with explanatory text between them or not.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE` for none, for one that cannot be read, for any other kind of block (a private key
 *   does not belong there); `ERR_SPIFFE_TRUST_DOMAIN`
 */
export function parsePemBundle(pem: string | Uint8Array, trustDomain: TrustDomain | string): X509Bundle {
  const domain = typeof trustDomain === 'string' ? TrustDomain.parse(trustDomain) : trustDomain
  const text = typeof pem === 'string' ? pem : Buffer.from(pem).toString('latin1')
  const fail = (why: string): SpiffeError =>
    new SpiffeError('ERR_SPIFFE_BUNDLE', `bundle of ${domain}: PEM: ${why}`)
  const blocks = [...text.matchAll(BLOCK)]
  if (blocks.length === 0) throw fail('there is no certificate')
  if (blocks.length !== text.split('-----BEGIN ').length - 1) throw fail('a block is malformed')
  return new X509Bundle(
    domain,
    blocks.map(([, label, body = '']) => {
      if (label !== 'CERTIFICATE') throw fail(`there is a block "${label}"`)
      const base64 = body.replaceAll(/\s/g, '')
      const der = Buffer.from(base64, 'base64')
      if (der.toString('base64') !== base64) throw fail('a block is not base64')
      return new Uint8Array(der)
    }),
  )
}
