const SCHEME = 'spiffe://'
/** Characters of a trust domain name (SPIFFE-ID §2.1). */
const NAME = /^[a-z0-9._-]{1,255}$/

/**
 * The trust domain of a principal that is a SPIFFE ID (`spiffe://example.org/hop1` → `example.org`); `undefined` for
 * any other principal. Does not check the path.
 */
export function trustDomainOf(principal: string): string | undefined {
  if (!principal.startsWith(SCHEME)) return undefined
  const end = principal.indexOf('/', SCHEME.length)
  const name = principal.slice(SCHEME.length, end === -1 ? undefined : end)
  return NAME.test(name) ? name : undefined
}
