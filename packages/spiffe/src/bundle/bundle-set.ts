import { types } from 'node:util'
import { SpiffeError } from '../errors.js'
import { TrustDomain } from '../id/spiffe-id.js'
import type { X509BundleSource } from './bundle-source.js'
import { parseSpiffeBundle } from './spiffe-bundle.js'
import { X509Bundle } from './x509-bundle.js'

/** Trust domain → bundle, as an operator writes it: SPIFFE bundle JSON (text or object), or one that was read. */
export type BundleMap = Readonly<Record<string, unknown>> | ReadonlyMap<string, unknown>

/**
 * A source of bundles that do not change: those of a configuration, or of an evidence file.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_TRUST_DOMAIN`, also for the ID of a workload; `ERR_SPIFFE_BUNDLE`, also for a bundle
 *   that was read as another domain's, and for two of one domain
 *
 * @example
 * ```ts
 * const bundles = createBundleSet({ 'example.org': await readFile('example.org.json', 'utf8') })
 * ```
 */
export function createBundleSet(bundles: BundleMap): X509BundleSource {
  const byName = new Map<string, X509Bundle>()
  for (const [name, bundle] of types.isMap(bundles) ? bundles : Object.entries(bundles)) {
    const domain = TrustDomain.parse(name)
    if (!domain.isNamed(name))
      throw new SpiffeError(
        'ERR_SPIFFE_TRUST_DOMAIN',
        `${name}: it is the ID of a workload, not of a trust domain`,
      )
    if (byName.has(domain.name))
      throw new SpiffeError(
        'ERR_SPIFFE_BUNDLE',
        `bundle of ${domain}: there are two, by its name and by its ID`,
      )
    byName.set(domain.name, bundleOf(domain, bundle))
  }
  return Object.freeze({
    generation: 0,
    getX509Bundle: (trustDomain: string) => byName.get(trustDomain),
  })
}

/**
 * Several sources as one: the first that has a bundle of a domain answers for it. Bundles are never pooled.
 *
 * Closing it closes none of them.
 */
export function combineBundleSources(...sources: readonly X509BundleSource[]): X509BundleSource {
  return Object.freeze({
    // Each only grows, so that their sum does whenever one of them does.
    get generation(): number {
      return sources.reduce((sum, { generation }) => sum + generation, 0)
    },
    getX509Bundle(trustDomain: string): X509Bundle | undefined {
      for (const source of sources) {
        const bundle = source.getX509Bundle(trustDomain)
        if (bundle !== undefined) return bundle
      }
      return undefined
    },
  })
}

function bundleOf(trustDomain: TrustDomain, bundle: unknown): X509Bundle {
  if (!(bundle instanceof X509Bundle)) return parseSpiffeBundle(bundle, trustDomain).x509
  if (bundle.trustDomain.equals(trustDomain)) return bundle
  throw new SpiffeError(
    'ERR_SPIFFE_BUNDLE',
    `bundle of ${trustDomain}: it was read as that of ${bundle.trustDomain}`,
  )
}
