import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { trustDomainOf } from '../trust/trust-domain.js'

/** The other end of a connection, as its certificate names it. */
export interface Peer {
  readonly spiffeId: string
}

/** A connection, as far as it says who is at its other end. */
type Connection = Partial<Pick<TLSSocket, 'authorized' | 'getPeerX509Certificate'>>

/** Where a connection keeps who its peer was found to be: one place, whichever copy of this package looks. */
const PEER = Symbol.for('kest.peer.1')

/** SPIFFE-ID §2: a path of segments, which are neither empty nor only dots. */
const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+$/
const SCHEME = 'spiffe://'
const MAX_ID = 2048

/** One name of a subjectAltName as Node writes it: text with anything special in it is quoted, as JSON. */
const NAME = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y

/**
 * Who is at the other end of a TLS connection: the SPIFFE ID of the peer's certificate, if the connection is authorized.
 * That is so when {@link authorizePeer} was told, and otherwise when Node found the certificate good (`authorized`).
 *
 * Node judges it by all the authorities in `ca` alike. Unless these are of one trust domain, any of them can name peers
 * of all: then the certificates are to be judged domain by domain, as `@kest/spiffe` does.
 *
 * @returns `undefined` for a connection that is not TLS or not authorized, and for a certificate without exactly one
 *   URI, which must be a SPIFFE ID with a path (X.509-SVID §2)
 */
export function peerOf(connection: unknown): Peer | undefined {
  if (typeof connection !== 'object' || connection === null) return undefined
  const known = (connection as { [PEER]?: Peer | null })[PEER]
  if (known !== undefined) return known ?? undefined
  const { authorized } = connection as Connection
  if (authorized !== true) return undefined
  const spiffeId = spiffeIdOf((connection as Connection).getPeerX509Certificate?.())
  const peer = spiffeId === undefined ? null : Object.freeze({ spiffeId })
  remember(connection, peer)
  return peer ?? undefined
}

/**
 * States who is at the other end of a connection, for whoever has verified the peer's certificates himself. The last
 * word: said once, it stays.
 *
 * @throws {TypeError} when another peer was stated for the connection before
 */
export function authorizePeer(connection: object, peer: Peer): void {
  const known = (connection as { [PEER]?: Peer | null })[PEER]
  if (known === undefined) remember(connection, Object.freeze({ spiffeId: peer.spiffeId }))
  else if (known?.spiffeId !== peer.spiffeId) throw new TypeError('the connection has another peer')
}

function remember(connection: object, peer: Peer | null): void {
  Object.defineProperty(connection, PEER, { value: peer })
}

function spiffeIdOf(certificate: X509Certificate | undefined): string | undefined {
  const uris = urisOf(certificate?.subjectAltName)
  const [id] = uris
  if (uris.length !== 1 || id === undefined || id.length > MAX_ID) return undefined
  const domain = trustDomainOf(id)
  if (domain === undefined) return undefined
  return PATH.test(id.slice(SCHEME.length + domain.length)) ? id : undefined
}

/** The URIs among the names; none when the text is not understood to its end. */
function urisOf(names: string | undefined): readonly string[] {
  if (names === undefined) return []
  const uris: string[] = []
  let at = 0
  while (at < names.length) {
    NAME.lastIndex = at
    const match = NAME.exec(names)
    if (match === null) return []
    at = NAME.lastIndex
    if (match[1] === 'URI') uris.push(match[2] as string)
  }
  return uris
}
