import type { TLSSocket } from 'node:tls'
import { authorizePeer } from '@kest/core'
import { assertKnown } from '../assert-known.js'
import { SpiffeError } from '../errors.js'
import type { SpiffeId } from '../id/spiffe-id.js'
import type { X509Svid } from '../svid/x509-svid.js'
import type { Bundles } from '../verification/bundle-of.js'
import { verifyX509Chain } from '../verification/verify-chain.js'
import type { Authorizer } from './authorizer.js'
import { peerChain } from './peer-chain.js'

/** Who this end of a connection is, and what the other is verified with: an {@link X509Source}, or what is like one. */
export interface MtlsSource extends Bundles {
  /** The same object until the identity changes. Throws when there is none now. */
  current(): X509Svid
}

/** Whom to talk to. */
export interface PeerRules {
  /** Required: {@link anyId}, {@link memberOf}, {@link oneOf}, or a function of one's own. */
  readonly authorize: Authorizer
  /** Bundles that peers are verified with. Default: those of the source. */
  readonly bundles?: Bundles
}

/**
 * @param others names of rules that there are beside those of all
 * @throws {SpiffeError} `ERR_SPIFFE_CONFIG`
 */
export function assertRules(source: MtlsSource, rules: PeerRules, others: readonly string[] = []): void {
  if (typeof source?.current !== 'function') throw wrong('expected a source with current()')
  if (typeof rules?.authorize !== 'function')
    throw wrong('authorize: say who may connect: anyId(), memberOf(), oneOf()')
  assertKnown('mTLS', rules, ['authorize', 'bundles', ...others])
  if (typeof (rules.bundles ?? source).getX509Bundle !== 'function')
    throw wrong('bundles: expected a source of bundles with getX509Bundle()')
}

/**
 * Who is at the other end, once the handshake is done (which has shown that the peer has the key of its certificate): its
 * certificates are those of an X.509-SVID of a trust domain whose bundle is here, valid now, and its ID may. What Node
 * thinks of them does not count: it knows one pool of authorities, of which any may name anybody.
 *
 * @throws {SpiffeError} what {@link verifyX509Chain} throws; `ERR_SPIFFE_PEER` when it sent no certificate, or may not
 */
export function assertPeer(socket: TLSSocket, source: MtlsSource, rules: PeerRules): SpiffeId {
  const { id } = verifyX509Chain(peerChain(socket), rules.bundles ?? source, { time: Date.now() })
  if (isAllowed(id, rules)) {
    authorizePeer(socket, { spiffeId: id.toString() })
    return id
  }
  throw new SpiffeError('ERR_SPIFFE_PEER', `the peer ${id} is not authorized`)
}

function isAllowed(id: SpiffeId, { authorize }: PeerRules): boolean {
  try {
    return authorize(id) === true
  } catch (cause) {
    throw new SpiffeError('ERR_SPIFFE_PEER', `authorize failed for the peer ${id}`, { cause })
  }
}

function wrong(why: string): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_CONFIG', `mTLS: ${why}`)
}
