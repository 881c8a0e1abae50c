import {
  assertOptions,
  KestConfigError,
  KestError,
  type KeyQuery,
  type KeySource,
  type Limits,
  resolveLimits,
  type VerificationKey,
} from '@kest/core'
import { type BundleMap, createBundleSet } from '../bundle/bundle-set.js'
import type { X509BundleSource } from '../bundle/bundle-source.js'
import type { X509Bundle } from '../bundle/x509-bundle.js'
import { SpiffeError } from '../errors.js'
import { SpiffeId } from '../id/spiffe-id.js'
import { bundleOf } from './bundle-of.js'
import { assertValidAt, followPath, type Path, readChain, readTop } from './path.js'
import { PathCache } from './path-cache.js'

export interface X509KeySourceOptions {
  /** As results and errors call it. Default `x509`. */
  readonly name?: string
  /** `certificates`, `rsaMinBits` and `rsaMaxBits` count here. */
  readonly limits?: Partial<Limits>
  /** Chains that are remembered as verified. Default 1024. */
  readonly cacheSize?: number
}

const NONE: readonly VerificationKey[] = Object.freeze([])

/**
 * The key source for entries that carry certificates (K-X5C, SPEC §9): trust by domain instead of by key.
 *
 * Its answer to an entry is the key of the leaf, if the chain holds as {@link verifyX509Chain} has it, at the time that is
 * asked for (K-TIME), and its SPIFFE ID is the principal (K-BIND). A principal of a domain that has no bundle here is
 * unknown. A chain is verified once and then remembered until a bundle changes; its times are checked every time.
 *
 * @param bundles a source that follows (`X509Source`, `BundleSource`), which the caller closes; or trust domain → SPIFFE
 *   bundle JSON, as text or object, or {@link X509Bundle}
 * @throws {KestConfigError} for a bundle that cannot be read, and for an unknown option
 *
 * @example
 * ```ts
 * const trust = createX509KeySource({ 'example.org': await readFile('example.org.json', 'utf8') })
 * await verifyPassport(passport, { trust })
 * ```
 */
export function createX509KeySource(
  bundles: X509BundleSource | BundleMap,
  options: X509KeySourceOptions = {},
): KeySource {
  assertOptions('createX509KeySource', options, ['name', 'limits', 'cacheSize'])
  return new X509KeySource(isSource(bundles) ? bundles : fixed(bundles), options)
}

class X509KeySource implements KeySource {
  readonly name: string
  readonly kind = 'x509'
  readonly #bundles: X509BundleSource
  readonly #limits: Limits
  readonly #paths: PathCache

  constructor(bundles: X509BundleSource, { name = 'x509', limits, cacheSize }: X509KeySourceOptions) {
    this.name = name
    this.#bundles = bundles
    this.#limits = resolveLimits(limits)
    this.#paths = new PathCache(cacheSize)
  }

  get generation(): number {
    return this.#bundles.generation
  }

  knows(principal: string): boolean {
    const trustDomain = trustDomainOf(principal)
    try {
      return trustDomain !== undefined && this.#bundles.getX509Bundle(trustDomain) !== undefined
    } catch {
      // Why it cannot say is said when it is asked for keys.
      return true
    }
  }

  find({ principal, header: { x5c }, time }: KeyQuery): readonly VerificationKey[] {
    const trustDomain = trustDomainOf(principal)
    if (x5c === undefined || trustDomain === undefined) return NONE
    try {
      const bundle = this.#bundleOf(trustDomain)
      if (bundle === undefined) return NONE
      const path = this.#paths.get(x5c, this.generation, trustDomain, () =>
        this.#verify(x5c, trustDomain, bundle),
      )
      if (path.id.toString() !== principal) {
        throw new SpiffeError('ERR_SPIFFE_CHAIN', `the certificate is that of ${path.id}`)
      }
      assertValidAt(path, time)
      return [{ key: path.publicKey, algorithms: path.algorithms }]
    } catch (cause) {
      if (!(cause instanceof SpiffeError)) throw cause
      throw new KestError('ERR_KEST_CERTIFICATE', cause.message, { cause })
    }
  }

  #bundleOf(trustDomain: string): X509Bundle | undefined {
    try {
      return bundleOf(trustDomain, this.#bundles)
    } catch (cause) {
      throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', `bundle of ${trustDomain}: ${messageOf(cause)}`, {
        cause,
      })
    }
  }

  /** The bundle is the principal's: before it counts for a chain, the leaf must be of the same domain. */
  #verify(x5c: readonly string[], trustDomain: string, bundle: X509Bundle): Path {
    const ders = x5c.map((text) => Buffer.from(text, 'base64'))
    const top = readTop(ders, bundle, this.#limits)
    const chain = readChain(ders, this.#limits, top)
    if (chain.id.trustDomain.name !== trustDomain)
      throw new SpiffeError('ERR_SPIFFE_CHAIN', `the certificate is that of ${chain.id}`)
    return followPath(chain, bundle, this.#limits, top.anchors)
  }
}

/** The last principals and their trust domains: a workload hears of few, again and again. */
const domains = new Map<string, string>()
const MAX_DOMAINS = 256

function trustDomainOf(principal: string): string | undefined {
  const known = domains.get(principal)
  if (known !== undefined) return known
  try {
    const { name } = SpiffeId.parse(principal).trustDomain
    if (domains.size >= MAX_DOMAINS) domains.delete(domains.keys().next().value as string)
    domains.set(principal, name)
    return name
  } catch (error) {
    if (error instanceof SpiffeError) return undefined
    throw error
  }
}

function fixed(bundles: BundleMap): X509BundleSource {
  if (typeof (bundles as { source?: Partial<X509BundleSource> } | null)?.source?.getX509Bundle === 'function')
    throw new KestConfigError(
      'x509: expected a source of bundles, got an identity provider: give its `source`',
    )
  if (typeof bundles !== 'object' || bundles === null || Array.isArray(bundles))
    throw new KestConfigError('x509: expected trust domains with their bundle')
  try {
    return createBundleSet(bundles)
  } catch (cause) {
    throw new KestConfigError(messageOf(cause), { cause })
  }
}

function isSource(bundles: X509BundleSource | BundleMap): bundles is X509BundleSource {
  return typeof (bundles as Partial<X509BundleSource> | null)?.getX509Bundle === 'function'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
