import { KestConfigError, KestError } from '../errors.js'
import { contentDigest, isContentDigest } from './content-digest.js'
import { Unreadable } from './sender-token.js'

/** What of a request a hop token can bind, beside its passport and the origin called (K-BODY). */
export type BoundPart = 'method' | 'path' | 'body'

/** What a sender's hop tokens are for (K-BODY). */
export interface HopOptions {
  /**
   * What each token is bound to, of the request that it is made for: its method, its path with the query, its body. Receivers
   * refuse it with another one.
   */
  readonly bind: readonly BoundPart[]
  /**
   * With `body`: the longest body that is sent, bytes. A stream is read up to there before the request leaves, since its token
   * is in the header. Default 1,048,576.
   */
  readonly maxBodyBytes?: number | undefined
}

/** {@link HopOptions}, checked and complete. */
export interface ResolvedHop {
  readonly bind: ReadonlySet<BoundPart>
  readonly maxBodyBytes: number
}

/** A request as it is sent, for what its token binds. */
export interface SentRequest {
  /** As in the request line. */
  readonly method: string
  /** Path and query, as in the request line. */
  readonly path: string
  /**
   * The content as sent: coded as its `content-encoding` says, without framing. `null` where there is none, which has the digest of
   * nothing. Left out where nobody has asked for it (`Outbound.bodyLimit`).
   */
  readonly body?: readonly (Uint8Array | string)[] | null | undefined
}

/** What a token says of its request: each where it is bound. */
export interface BoundClaims {
  /** The method. */
  readonly htm?: string
  /** Path and query, as sent. */
  readonly htu?: string
  /** SHA-256 of the content, by RFC 9530. */
  readonly digest?: string
}

/** As many bytes of a body as are read where nobody says otherwise: Fastify's own bound. */
export const DEFAULT_BODY_BYTES = 1_048_576
/** What a body is kept in grows to twice as much meanwhile. */
const MAX_BODY_BYTES = 2 ** 30

const PARTS: readonly BoundPart[] = ['method', 'path', 'body']
const CLAIM: Readonly<Record<BoundPart, keyof BoundClaims>> = { method: 'htm', path: 'htu', body: 'digest' }

/**
 * Checks the option `hop` of a sender.
 * @returns `null` where there is no token
 * @throws {KestConfigError}
 */
export function resolveHop(where: string, hop: boolean | HopOptions | undefined): ResolvedHop | null {
  if (hop === undefined || hop === false) return null
  if (hop === true) return { bind: new Set(), maxBodyBytes: DEFAULT_BODY_BYTES }
  if (typeof hop !== 'object' || hop === null || Array.isArray(hop))
    throw new KestConfigError(`${where}: expected a boolean or { bind }, got ${typeof hop}`)
  const { bind, maxBodyBytes, ...unknown } = hop
  const [extra] = Object.keys(unknown)
  if (extra !== undefined) throw new KestConfigError(`${where}: unknown option "${extra}"`)
  const parts = resolveParts(`${where}.bind`, bind)
  if (maxBodyBytes !== undefined && !parts.has('body'))
    throw new KestConfigError(`${where}.maxBodyBytes: means nothing where no body is bound (K-BODY)`)
  return { bind: parts, maxBodyBytes: resolveBodyBytes(`${where}.maxBodyBytes`, maxBodyBytes) }
}

/** @throws {KestConfigError} for what is no list of distinct parts, or empty */
export function resolveParts(where: string, parts: unknown): ReadonlySet<BoundPart> {
  const known = Array.isArray(parts) && parts.length > 0 && parts.every((part) => PARTS.includes(part))
  if (!known || new Set(parts).size !== parts.length)
    throw new KestConfigError(`${where}: expected a list of ${PARTS.join(', ')}, each at most once (K-BODY)`)
  return new Set(parts as BoundPart[])
}

/** @throws {KestConfigError} */
export function resolveBodyBytes(where: string, bytes: unknown): number {
  if (bytes === undefined) return DEFAULT_BODY_BYTES
  if (!Number.isSafeInteger(bytes) || (bytes as number) < 0 || (bytes as number) > MAX_BODY_BYTES)
    throw new KestConfigError(`${where}: expected a number of bytes, an integer up to ${MAX_BODY_BYTES}`)
  return bytes as number
}

/**
 * What a token says of the request that it is for.
 * @throws {KestError} `ERR_KEST_OUTBOUND` where the client has not said what it sends
 */
export function boundTo(bind: ReadonlySet<BoundPart>, sent: SentRequest | undefined): BoundClaims {
  if (bind.size === 0) return {}
  if (typeof sent?.method !== 'string' || typeof sent.path !== 'string')
    throw unsaid('the method and the path of what it sends')
  if (bind.has('body') && sent.body === undefined) throw unsaid('the body of what it sends')
  return {
    ...(bind.has('method') && { htm: sent.method }),
    ...(bind.has('path') && { htu: requestTarget(sent.path) }),
    ...(bind.has('body') && { digest: contentDigest(sent.body ?? []) }),
  }
}

function unsaid(what: string): KestError {
  return new KestError(
    'ERR_KEST_OUTBOUND',
    `the hop token binds the request, and its client did not say ${what} (K-BODY)`,
  )
}

/** Reads what a token says of its request, as part of `parseSenderToken`. */
export function readBoundClaims({ htm, htu, digest }: Readonly<Record<string, unknown>>): BoundClaims {
  if (htm !== undefined && typeof htm !== 'string') throw new Unreadable('htm is not text')
  if (htu !== undefined && typeof htu !== 'string') throw new Unreadable('htu is not text')
  if (digest !== undefined && !isContentDigest(digest))
    throw new Unreadable('digest is not a SHA-256 by RFC 9530')
  return {
    ...(htm !== undefined && { htm }),
    ...(htu !== undefined && { htu }),
    ...(digest !== undefined && { digest }),
  }
}

/** The first part that is required, and not bound; `undefined` when all are. */
export function unboundPart(
  claims: BoundClaims,
  required: ReadonlySet<BoundPart>,
): { readonly part: BoundPart; readonly claim: keyof BoundClaims } | undefined {
  const part = PARTS.find((each) => required.has(each) && claims[CLAIM[each]] === undefined)
  return part && { part, claim: CLAIM[part] }
}

/**
 * Path and query of a request line (RFC 9112 §3.2): on the way through a proxy it has the whole URL, and behind it the rest.
 * Nothing else is done to it: `%2F` is no `/`, and `a=1&b=2` is not `b=2&a=1`.
 */
export function requestTarget(url: string): string {
  const rest = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  return rest === url || rest.startsWith('/') ? rest : `/${rest}`
}
