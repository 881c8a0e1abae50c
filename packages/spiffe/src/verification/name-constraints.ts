import { SpiffeError } from '../errors.js'
import { SpiffeId } from '../id/spiffe-id.js'
import type { Certificate } from '../x509/certificate.js'

/**
 * What an authority limited itself to (X509-SVID §4.2, RFC 5280 §4.2.1.10), applied to the SPIFFE IDs of the certificates
 * below it. Limits on names of other kinds are not understood, and so refused.
 *
 * @param below certificates whose URI names were checked: leaf and intermediates before it
 * @throws {SpiffeError} `ERR_SPIFFE_CHAIN`
 */
export function assertNameConstraints({ nameConstraints }: Certificate, below: readonly Certificate[]): void {
  if (nameConstraints === undefined) return
  const { permitted, excluded, others } = nameConstraints
  if (others) throw refused('it constrains names other than URIs, which is not supported')
  for (const id of below.flatMap(({ uris }) => uris)) {
    const host = SpiffeId.parse(id).trustDomain.name
    if (excluded.some((constraint) => constraint === '' || matches(host, constraint)))
      throw refused(`it excludes the trust domain ${host}`)
    if (permitted.length > 0 && !permitted.some((constraint) => matches(host, constraint)))
      throw refused(`it does not permit the trust domain ${host}`)
  }
}

/** A constraint is a host, or, after a dot, all hosts below one. */
function matches(host: string, constraint: string): boolean {
  const name = constraint.toLowerCase()
  return name.startsWith('.') ? host.length > name.length && host.endsWith(name) : host === name
}

function refused(why: string): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_CHAIN', `signing certificate: name constraints: ${why}`)
}
