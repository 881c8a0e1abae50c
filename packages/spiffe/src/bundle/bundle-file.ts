import { readRegularFile } from '@kest/core'
import { assertKnown } from '../assert-known.js'
import { assertDuration } from '../duration.js'
import { TrustDomain } from '../id/spiffe-id.js'
import { FOLLOW_OPTIONS, type FollowOptions } from '../source/followed.js'
import { JwtBundle } from './jwt-bundle.js'
import { parsePemBundle } from './pem.js'
import { type PolledBundleSource, pollBundle } from './polled-bundle.js'
import { parseSpiffeBundle, type SpiffeBundle } from './spiffe-bundle.js'

/** As much as is taken of an endpoint. */
const MAX_BYTES = 4 * 1024 * 1024

export interface BundleFileOptions extends FollowOptions {
  /** Whose bundle it is. */
  readonly trustDomain: TrustDomain | string
  /** How often to look. Default 5,000 ms. */
  readonly intervalMs?: number
}

/**
 * Follows a bundle in a file: SPIFFE bundle JSON, or PEM.
 *
 * The file is read again every `intervalMs`, rather than watched for events, so that mounted volumes, replaced symbolic
 * links and network file systems work alike. A file that is gone or cannot be read, is no regular file (a FIFO, a device), or has more
 * than 4 MiB, leaves the bundle as it was, stale, for at most `maxStaleMs`. To withdraw a domain, write `{"keys": []}`.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_TRUST_DOMAIN`, `ERR_SPIFFE_CONFIG`; `ERR_SPIFFE_TIMEOUT` when it cannot be read for
 *   `connectTimeoutMs`, with the reason as its cause; `ERR_SPIFFE_ABORTED`
 */
export function watchBundleFile(path: string | URL, options: BundleFileOptions): Promise<PolledBundleSource> {
  assertKnown('watchBundleFile', options, [...FOLLOW_OPTIONS, 'trustDomain', 'intervalMs'])
  const { trustDomain, intervalMs = 5_000 } = options
  const domain = typeof trustDomain === 'string' ? TrustDomain.parse(trustDomain) : trustDomain
  assertDuration('intervalMs', intervalMs)
  return pollBundle(
    {
      name: `bundle of ${domain} in ${String(path)}`,
      trustDomain: domain,
      read: async (_before, signal) =>
        parse(await readRegularFile(path, { maxBytes: MAX_BYTES, signal }), domain),
      delayMs: () => intervalMs,
    },
    options,
  )
}

function parse(bytes: Buffer, trustDomain: TrustDomain): SpiffeBundle {
  if (bytes.subarray(0, 256).toString('latin1').trimStart().startsWith('{'))
    return parseSpiffeBundle(bytes, trustDomain)
  return { x509: parsePemBundle(bytes, trustDomain), jwt: new JwtBundle(trustDomain, new Map()) }
}
