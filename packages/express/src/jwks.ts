import { assertOptions, getActiveKest, type Kest, KestConfigError, publishedKeys } from '@kest/core'
import type { KestMiddleware } from './middleware.js'
import { misconfigured, refuse } from './refuse.js'

export interface KestJwksOptions {
  /** Default: the one made by `configure()`, which must have been called before. */
  readonly kest?: Kest | undefined
  /** For how long peers may keep the answer, seconds. Default 300. */
  readonly maxAgeSeconds?: number | undefined
}

/**
 * Serves the public key of this workload's identity as a JWK Set (RFC 7517), for peers that verify what it signed.
 * Their operators list the https URL of it (K-PRINCIPAL). It needs no protection, and is to be reached without lineage:
 * mount it before `kestExpress()`.
 *
 * @throws {KestConfigError} for wrong options; when Kest is not configured, or its identity has no key to publish (one
 * that signs with certificates is verified by a trust bundle).
 *
 * @example
 * ```ts
 * app.get('/.well-known/kest/jwks.json', kestJwks())
 * ```
 */
export function kestJwks(options: KestJwksOptions = {}): KestMiddleware {
  assertOptions('kestJwks', options, ['kest', 'maxAgeSeconds'])
  const { kest = getActiveKest(), maxAgeSeconds = 300 } = options
  if (!Number.isSafeInteger(maxAgeSeconds) || maxAgeSeconds < 0) {
    throw new KestConfigError('kestJwks.maxAgeSeconds: expected an integer of at least 0')
  }
  const keys = publishedKeys('kestJwks', kest, maxAgeSeconds)

  return function kestKeys(req, res, next) {
    try {
      const { headers, body } = keys()
      for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
      res.setHeader('content-length', Buffer.byteLength(body))
      res.end(body)
    } catch (error) {
      const reason = misconfigured('kestJwks: the identity has no key to publish now', error)
      refuse(reason, 'respond', req, res, next)
    }
  }
}
