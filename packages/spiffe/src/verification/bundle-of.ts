import type { X509BundleSource } from '../bundle/bundle-source.js'
import type { X509Bundle } from '../bundle/x509-bundle.js'
import { SpiffeError } from '../errors.js'

/** Where bundles come from: all of an {@link X509BundleSource} that a single verification needs. */
export type Bundles = Pick<X509BundleSource, 'getX509Bundle'>

/**
 * The bundle of one trust domain, whatever the source does: domains are never pooled.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE` when the source answers with that of another
 */
export function bundleOf(trustDomain: string, bundles: Bundles): X509Bundle | undefined {
  const bundle = bundles.getX509Bundle(trustDomain)
  if (bundle === undefined || bundle.trustDomain.name === trustDomain) return bundle
  throw new SpiffeError(
    'ERR_SPIFFE_BUNDLE',
    `asked for the bundle of ${trustDomain}, got that of ${bundle.trustDomain}`,
  )
}
