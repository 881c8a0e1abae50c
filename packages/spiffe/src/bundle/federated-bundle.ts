import { assertKnown } from '../assert-known.js'
import { assertDuration } from '../duration.js'
import { SpiffeError } from '../errors.js'
import { SpiffeId, TrustDomain } from '../id/spiffe-id.js'
import { FOLLOW_OPTIONS, type FollowOptions } from '../source/followed.js'
import { verifyX509Chain } from '../verification/verify-chain.js'
import type { X509BundleSource } from './bundle-source.js'
import { type EndpointTrust, fetchBundle, isEndpointUrl } from './fetch-bundle.js'
import { type PolledBundleSource, pollBundle } from './polled-bundle.js'
import { parseSpiffeBundle, type SpiffeBundle } from './spiffe-bundle.js'
import { X509Bundle } from './x509-bundle.js'

/** How the endpoint shows who it is (SPIFFE Federation §5.2). */
export type EndpointProfile =
  | {
      readonly type: 'https_web'
      /** PEM, of a private authority say; default: those that Node trusts, which `NODE_EXTRA_CA_CERTS` adds to. */
      readonly ca?: string | readonly string[]
    }
  | {
      readonly type: 'https_spiffe'
      /** The SPIFFE ID that the endpoint must have. */
      readonly endpointId: SpiffeId | string
      /**
       * What its SVID is verified with. For an endpoint of the very domain that is fetched (self-serving): the first bundle,
       * after which the fetched ones count. Otherwise a source that has the endpoint's domain.
       */
      readonly bundle: X509Bundle | X509BundleSource | Readonly<Record<string, unknown>> | string
    }

export interface FederatedBundleOptions extends FollowOptions {
  /** Whose bundle it is: nothing in the document says so. */
  readonly trustDomain: TrustDomain | string
  /** https, without user information. */
  readonly url: string | URL
  readonly profile: EndpointProfile
  /** How often to ask. Default: the bundle's `spiffe_refresh_hint`, within 10 s and a day; without one, 300,000 ms. */
  readonly refreshMs?: number
  /** After a failure. Default 30,000. */
  readonly retryMs?: number
  /** Of one request. Default 10,000. */
  readonly timeoutMs?: number
  /** As elsewhere, but the default is 86,400,000: domains federate over networks that fail. */
  readonly maxStaleMs?: number
}

const OPTIONS: readonly string[] = [
  ...FOLLOW_OPTIONS,
  'trustDomain',
  'url',
  'profile',
  'refreshMs',
  'retryMs',
  'timeoutMs',
]

const REFRESH_MS = 300_000
const MIN_REFRESH_MS = 10_000
const MAX_REFRESH_MS = 86_400_000

/**
 * Follows the bundle of another trust domain at its bundle endpoint (SPIFFE Federation §4, §5).
 *
 * A bundle with a lower `spiffe_sequence` than the last is refused: what was withdrawn does not come back by a replay.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_TRUST_DOMAIN`, `ERR_SPIFFE_ID`, `ERR_SPIFFE_CONFIG`, `ERR_SPIFFE_BUNDLE`;
 *   `ERR_SPIFFE_TIMEOUT` when it cannot be had for `connectTimeoutMs`, with the reason as its cause; `ERR_SPIFFE_ABORTED`
 *
 * @example
 * ```ts
 * const partner = await followBundleEndpoint({
 *   trustDomain: 'partner.example',
 *   url: 'https://spire.partner.example/bundle.json',
 *   profile: { type: 'https_web' },
 * })
 * const trust = createX509KeySource(combineBundleSources(source, partner))
 * ```
 */
export async function followBundleEndpoint(options: FederatedBundleOptions): Promise<PolledBundleSource> {
  assertKnown('followBundleEndpoint', options, OPTIONS)
  const { refreshMs, retryMs = 30_000, timeoutMs = 10_000, maxStaleMs = MAX_REFRESH_MS } = options
  for (const [name, value] of Object.entries({ refreshMs: refreshMs ?? 1, retryMs, timeoutMs }))
    assertDuration(`bundle endpoint: ${name}`, value)
  const { trustDomain } = options
  const domain = typeof trustDomain === 'string' ? TrustDomain.parse(trustDomain) : trustDomain
  const url = endpointUrl(options.url)
  const trustOf = trustBy(options.profile, domain)
  return await pollBundle(
    {
      name: `bundle of ${domain} at ${url.href}`,
      trustDomain: domain,
      read: async (before, stopping) => {
        // The timer holds it: Node 20 collects the signal of AbortSignal.timeout as garbage, timer and all.
        const late = new AbortController()
        const timer = setTimeout(() => late.abort(), timeoutMs)
        try {
          const signal = AbortSignal.any([stopping, late.signal])
          const bundle = parseSpiffeBundle(await fetchBundle(url, trustOf(before), signal), domain)
          refuseRollback(before, bundle)
          return bundle
        } finally {
          clearTimeout(timer)
        }
      },
      delayMs: (bundle) => (bundle === undefined ? retryMs : (refreshMs ?? hinted(bundle))),
    },
    { ...options, maxStaleMs },
  )
}

function endpointUrl(text: string | URL): URL {
  const url = URL.canParse(String(text)) ? new URL(text) : undefined
  if (url !== undefined && isEndpointUrl(url)) return url
  throw new SpiffeError(
    'ERR_SPIFFE_CONFIG',
    'bundle endpoint: expected an https URL without user information',
  )
}

function trustBy(
  profile: EndpointProfile,
  trustDomain: TrustDomain,
): (before: SpiffeBundle | undefined) => EndpointTrust {
  if (profile.type === 'https_web') return () => (profile.ca === undefined ? {} : { ca: profile.ca })
  if (profile.type !== 'https_spiffe') {
    throw new SpiffeError(
      'ERR_SPIFFE_CONFIG',
      'bundle endpoint: profile: expected "https_web" or "https_spiffe"',
    )
  }
  const expected =
    typeof profile.endpointId === 'string' ? SpiffeId.parse(profile.endpointId) : profile.endpointId
  const { name } = expected.trustDomain
  const selfServing = expected.memberOf(trustDomain)
  const first = isSource(profile.bundle) ? profile.bundle : single(expected.trustDomain, profile.bundle)
  return (before) => ({
    judge: (chain) => {
      // §5.2.2.4: the latest bundle that there is.
      const bundles = selfServing && before !== undefined ? single(expected.trustDomain, before.x509) : first
      const { id } = verifyX509Chain(chain, bundles)
      if (id.equals(expected)) return
      throw new SpiffeError(
        'ERR_SPIFFE_PEER',
        `bundle endpoint: expected ${expected}, it is ${id} of ${name}`,
      )
    },
  })
}

function isSource(
  bundle: Extract<EndpointProfile, { type: 'https_spiffe' }>['bundle'],
): bundle is X509BundleSource {
  return (
    typeof bundle === 'object' && typeof (bundle as Partial<X509BundleSource>).getX509Bundle === 'function'
  )
}

function single(trustDomain: TrustDomain, bundle: unknown): X509BundleSource {
  const only = bundle instanceof X509Bundle ? bundle : parseSpiffeBundle(bundle, trustDomain).x509
  return { generation: 0, getX509Bundle: (name) => (name === only.trustDomain.name ? only : undefined) }
}

function refuseRollback(before: SpiffeBundle | undefined, after: SpiffeBundle): void {
  const [last, next] = [before?.x509.sequence, after.x509.sequence]
  if (last === undefined || (next !== undefined && next >= last)) return
  throw new SpiffeError(
    'ERR_SPIFFE_BUNDLE',
    `bundle of ${after.x509.trustDomain}: its sequence ${String(next)} is below ${last}, which was here before`,
  )
}

function hinted({ x509: { refreshHintMs = REFRESH_MS } }: SpiffeBundle): number {
  return Math.min(Math.max(refreshHintMs, MIN_REFRESH_MS), MAX_REFRESH_MS)
}
