import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import { SpiffeError } from '../errors.js'

/** More is not an SVID; Node puts no bound on what it reads. */
const MAX_CERTIFICATES = 16

/**
 * The certificates that the peer sent, DER, leaf first, each issued by the next as far as names say.
 * @throws {SpiffeError} `ERR_SPIFFE_PEER` when there is none, or too many
 */
export function peerChain(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  let last: DetailedPeerCertificate | undefined
  // A self-signed one is its own issuer.
  while (certificate !== undefined && certificate !== last && certificate.raw !== undefined) {
    if (chain.push(certificate.raw) > MAX_CERTIFICATES) throw refused('the peer sent too many certificates')
    last = certificate
    certificate = certificate.issuerCertificate
  }
  if (chain.length === 0) throw refused('the peer sent no certificate')
  return chain
}

function refused(why: string): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_PEER', why)
}
