import { type Authority, createAuthority, issueX509Svid } from '../../src/dev-authority/authority.js'
import type { KeyType } from '../../src/dev-authority/keys.js'
import { SpiffeId, TrustDomain } from '../../src/id/spiffe-id.js'
import type { X509SVID } from '../../src/workload-api/workload_pb.js'

/** Throw-away authorities and SVIDs, made when a test runs. */
export function makeAuthority(
  trustDomain = 'example.org',
  options: { readonly keyType?: KeyType; readonly intermediates?: number } = {},
): Promise<Authority> {
  return createAuthority(TrustDomain.parse(trustDomain), { keyType: 'ec-p256', intermediates: 0, ...options })
}

/** An SVID as FetchX509SVID sends it. */
export async function makeSvid(
  authority: Authority,
  id = 'spiffe://example.org/hop1',
  options: { readonly keyType?: KeyType; readonly ttlMs?: number; readonly hint?: string } = {},
): Promise<X509SVID> {
  const { keyType = 'ec-p256', ttlMs = 3_600_000, hint = '' } = options
  const { certificates, pkcs8 } = await issueX509Svid(authority, SpiffeId.parse(id), { keyType, ttlMs })
  return {
    $typeName: 'X509SVID',
    spiffeId: id,
    x509Svid: certificates,
    x509SvidKey: pkcs8,
    bundle: authority.root,
    hint,
  }
}

/** Waits for what others do; fails when it has not come to pass in `ms`. */
export async function until(condition: () => boolean, ms = 60_000): Promise<void> {
  const end = Date.now() + ms
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not so after ${ms} ms: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
