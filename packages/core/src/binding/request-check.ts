import { KestConfigError } from '../errors.js'
import type { MaybePromise } from '../maybe-promise.js'
import { type BoundPart, requestTarget, unboundPart } from './bound-request.js'
import { contentDigest } from './content-digest.js'
import { HOP, type HopClaims } from './hop-token.js'
import { refused } from './token-check.js'

/**
 * Reads the whole content of a request, and leaves it there to be read again.
 *
 * @param maxBytes what may be kept of it
 * @throws {KestError} `ERR_KEST_BINDING` for more than that, before it is read if it says how much it is; `ERR_KEST_ABORTED`
 */
export type ReadBody = (maxBytes: number) => MaybePromise<readonly Uint8Array[]>

/** A request, as far as a token can be bound to it. What nobody has said is `undefined`. */
export interface BoundRequest {
  readonly method: string | undefined
  /** As in the request line. */
  readonly url: string | undefined
  readonly body: ReadBody | undefined
}

/** What a listener asks of tokens. */
export interface RequestRules {
  readonly required: ReadonlySet<BoundPart>
  readonly maxBodyBytes: number
}

/**
 * That a token is for the request that it came with (K-BODY): what it has to bind it does, and what it binds is the same,
 * whether or not it has to. The body is looked at last, by the answer, when it is known who has signed.
 *
 * @throws {KestError} `ERR_KEST_BINDING`; `ERR_KEST_CONFIG` where what is required cannot be seen here
 */
export function checkRequest(
  claims: HopClaims,
  request: BoundRequest,
  { required, maxBodyBytes }: RequestRules,
): () => Promise<void> {
  const missing = unboundPart(claims, required)
  if (missing !== undefined)
    throw refused(`the hop token does not bind the ${missing.part} (${missing.claim})`, BODY)
  const { htm, htu, digest } = claims
  if (htm !== undefined && htm !== said('method', request.method, required))
    throw refused(`the hop token is for the method ${shown(htm)}`, BODY)
  if (htu !== undefined && htu !== requestTarget(said('path', request.url, required)))
    throw refused('the hop token is for another path or query', BODY)
  if (digest === undefined) return async () => {}
  const read = said('body', request.body, required)
  return async () => {
    if (contentDigest(await read(maxBodyBytes)) !== digest)
      throw refused('the hop token is for another body', BODY)
  }
}

const BODY = { ...HOP, rule: 'K-BODY' }

function said<T>(part: BoundPart, value: T | undefined, required: ReadonlySet<BoundPart>): T {
  if (value !== undefined) return value
  if (required.has(part))
    throw new KestConfigError(`listener.require: the ${part} of a request is not known here (K-BODY)`)
  throw refused(`the hop token binds the ${part}, which is not known here`, BODY)
}

function shown(method: string): string {
  return JSON.stringify(method.slice(0, 64))
}
