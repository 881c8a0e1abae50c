import { createBundleSet } from '../../src/bundle/bundle-set.js'
import type { X509BundleSource } from '../../src/bundle/bundle-source.js'
import { X509Bundle } from '../../src/bundle/x509-bundle.js'
import { uriNames } from '../../src/dev-authority/certificate.js'
import type { MtlsSource } from '../../src/mtls/peer-rules.js'
import { parseX509Svid, type X509Svid } from '../../src/svid/x509-svid.js'
import { type Change, ec, HOUR, leafOf, type Signer, signerOf } from './certificates.js'

// Throw-away identities that are valid now, whenever the tests run.

const now = Date.now()
const LONG: Change = { notBefore: now - 24 * HOUR, notAfter: now + 24 * HOUR }

/** An authority, or what another one signed. */
export function authorityOf(commonName: string, by?: Signer): Signer {
  return signerOf(commonName, by, {}, LONG)
}

/** An SVID of any ID, by any authority; certificates between it and its root come with it. */
export function svidOf(
  id: string,
  by: Signer,
  change: Change = {},
  between: readonly Signer[] = [],
): X509Svid {
  const keys = ec()
  const leaf = leafOf(
    by,
    { names: uriNames([id]) },
    { keys, notBefore: now - HOUR, notAfter: now + HOUR, ...change },
  )
  return parseX509Svid(
    [leaf, ...between.map(({ certificate }) => certificate)],
    keys.privateKey.export({ format: 'der', type: 'pkcs8' }),
  )
}

/** What an X509Source answers, at one's own bidding. */
export class FixedSource implements MtlsSource {
  svid: X509Svid | undefined
  #bundles: X509BundleSource

  constructor(svid: X509Svid, authorities: Readonly<Record<string, Signer>>) {
    this.svid = svid
    this.#bundles = bundlesOf(authorities)
  }

  trust(authorities: Readonly<Record<string, Signer>>): void {
    this.#bundles = bundlesOf(authorities)
  }

  current(): X509Svid {
    if (this.svid === undefined) throw new Error('no identity')
    return this.svid
  }

  getX509Bundle(trustDomain: string): X509Bundle | undefined {
    return this.#bundles.getX509Bundle(trustDomain)
  }
}

function bundlesOf(authorities: Readonly<Record<string, Signer>>): X509BundleSource {
  const bundles = Object.entries(authorities).map(
    ([domain, { certificate }]) => [domain, new X509Bundle(domain, [certificate])] as const,
  )
  return createBundleSet(Object.fromEntries(bundles))
}
