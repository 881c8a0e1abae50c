import type { HopOptions, SentRequest } from '../binding/bound-request.js'
import type { KestState } from '../context/state.js'
import { KestConfigError } from '../errors.js'

/** How a passport is put on a request that another client sends. */
export interface InjectOptions {
  /**
   * Whether a token for the receiver goes along (K-HOP); good for one request, within 30 seconds. With `{ bind }` it is bound to
   * the request, which `method` and `body` then say (K-BODY). Default `false`.
   */
  readonly hop?: boolean | HopOptions | undefined
  /** Whose passport. Default: that of the ambient state. */
  readonly state?: KestState | undefined
  /** The method of the request. Default `GET`. */
  readonly method?: string | undefined
  /** The content as it will be sent; `null` for none, which is the default of `GET` and `HEAD`. */
  readonly body?: string | Uint8Array | null | undefined
}

/** @throws {KestConfigError} for a method or a body that is none */
export function sentRequest(
  { pathname, search }: URL,
  { method = 'GET', body = method === 'GET' || method === 'HEAD' ? null : undefined }: InjectOptions,
): SentRequest {
  if (typeof method !== 'string')
    throw new KestConfigError(`inject.method: expected text, got ${typeof method}`)
  if (body != null && typeof body !== 'string' && !(body instanceof Uint8Array))
    throw new KestConfigError('inject.body: expected text, bytes, or null')
  return { method, path: pathname + search, body: body == null ? body : [body] }
}
