import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { SpiffeError } from '../errors.js'
import { isSelfSigned, parseCertificate } from '../x509/certificate.js'

const MAX_BYTES = 4 * 1024 * 1024
const MAX_REDIRECTS = 3

/** How a bundle endpoint shows that it is the right one. */
export interface EndpointTrust {
  /** PEM, in place of the authorities that Node trusts. */
  readonly ca?: string | readonly string[]
  /**
   * Judges the certificates that the endpoint presents, DER, the leaf first, before anything is sent; throws to refuse.
   * Stands in place of the public authorities and the host name.
   */
  readonly judge?: (chain: readonly Uint8Array[]) => void
}

/**
 * Gets the body of a bundle endpoint (SPIFFE Federation §5.2). Redirects are followed as far as three, to https alone, and
 * each target is judged like the first.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_UNAVAILABLE`, or what `judge` throws
 */
export async function fetchBundle(url: URL, trust: EndpointTrust, signal: AbortSignal): Promise<Buffer> {
  let at = url
  for (let redirects = 0; ; redirects++) {
    const response = await get(at, trust, signal)
    const { statusCode = 0, headers } = response
    if (statusCode === 200) return await bodyOf(response)
    response.destroy()
    if (statusCode < 300 || statusCode > 399 || headers.location === undefined)
      throw unavailable(url, `status ${statusCode}`)
    if (redirects === MAX_REDIRECTS) throw unavailable(url, `more than ${MAX_REDIRECTS} redirects`)
    const target = URL.canParse(headers.location, at.href) ? new URL(headers.location, at) : undefined
    if (target === undefined || !isEndpointUrl(target))
      throw unavailable(url, 'it redirects to what is no https URL')
    at = target
  }
}

/** SPIFFE Federation §5.2.1.1: https, and no user information. */
export function isEndpointUrl({ protocol, username, password }: URL): boolean {
  return protocol === 'https:' && username === '' && password === ''
}

async function get(url: URL, trust: EndpointTrust, signal: AbortSignal): Promise<IncomingMessage> {
  const socket = await connected(url, trust, signal)
  return await new Promise((resolve, reject) => {
    const call = request(
      url.href,
      // What was judged is what is used. Node asks createConnection only where no agent is named, not even "false".
      { createConnection: () => socket, headers: { accept: 'application/json' }, signal },
      resolve,
    )
    call.on('error', (cause) => reject(unavailable(url, cause.message, cause)))
    call.end()
  })
}

function connected(url: URL, { ca, judge }: EndpointTrust, signal: AbortSignal): Promise<TLSSocket> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: Number(url.port || 443),
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] }),
      // Without public authorities it is for us to refuse, below, before a byte of the request is written.
      // Otherwise it is for Node, whatever NODE_TLS_REJECT_UNAUTHORIZED says: these are roots of trust.
      rejectUnauthorized: judge === undefined,
    })
    const abort = (): void => {
      socket.destroy(new Error('it took too long, or was given up'))
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    socket.once('close', () => signal.removeEventListener('abort', abort))
    socket.once('error', (cause) => reject(unavailable(url, cause.message, cause)))
    socket.once('secureConnect', () => {
      try {
        judge?.(presented(socket))
        resolve(socket)
      } catch (error) {
        socket.destroy()
        reject(error)
      }
    })
  })
}

/** What the peer sent, the leaf first; a root that stands at its end is left away. */
function presented(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  for (let at = socket.getPeerX509Certificate(); at !== undefined; at = at.issuerCertificate) {
    if (chain.length > 0 && isSelfSigned(parseCertificate(at.raw))) break
    chain.push(new Uint8Array(at.raw))
  }
  return chain
}

async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes > MAX_BYTES)
      throw new SpiffeError('ERR_SPIFFE_BUNDLE', `a bundle of more than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function unavailable(url: URL, why: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_UNAVAILABLE',
    `bundle endpoint ${url.href}: ${why}`,
    cause === undefined ? {} : { cause },
  )
}
