import { SpiffeError, type SpiffeErrorCode } from '../errors.js'
import { SpiffeId } from '../id/spiffe-id.js'
import { quoted } from '../id/syntax.js'
import type { Certificate } from '../x509/certificate.js'
import { OID } from '../x509/oid.js'

/**
 * What X509-SVID §4, §5.2 and Appendix A ask of a leaf: exactly one URI name, which is a SPIFFE ID with a path; not a CA;
 * key usage present and critical, with digitalSignature, without keyCertSign and cRLSign; extended key usage, if present, with
 * both serverAuth and clientAuth; names critical when there is no subject. Other kinds of names may be there.
 *
 * @returns the ID
 * @throws {SpiffeError} with `code`, saying which rule
 */
export function checkLeaf(certificate: Certificate, code: SpiffeErrorCode): SpiffeId {
  const { uris, ca, keyUsage, extendedKeyUsage, subject, extensions } = certificate
  const fail = refuse('leaf certificate', code)
  if (uris.length !== 1) throw fail(`expected exactly one URI name, got ${uris.length}`)
  const id = parseId(uris[0] as string, fail)
  if (id.path === '') throw fail(`${quoted(id.toString())} names a trust domain: a workload's ID has a path`)
  if (ca) throw fail('it is a CA')
  if (keyUsage === undefined) throw fail('it has no key usage')
  if (!keyUsage.critical) throw fail('its key usage is not critical')
  if (!keyUsage.digitalSignature) throw fail('its key usage lacks digitalSignature')
  if (keyUsage.keyCertSign) throw fail('its key usage has keyCertSign')
  if (keyUsage.cRLSign) throw fail('its key usage has cRLSign')
  for (const purpose of ['serverAuth', 'clientAuth'] as const) {
    if (extendedKeyUsage?.includes(OID[purpose]) === false)
      throw fail(`its extended key usage lacks ${purpose}`)
  }
  if (subject === '' && extensions.get(OID.subjectAltName) !== true)
    throw fail('it has no subject, and its names are not critical')
  return id
}

/**
 * What X509-SVID §4, §5.2 and Appendix A ask of a certificate that signs others: a CA; key usage present and critical, with
 * keyCertSign; at most one URI name, which is the ID of a trust domain, without a path.
 *
 * @throws {SpiffeError} with `code`, saying which rule
 */
export function checkSigning({ uris, ca, keyUsage }: Certificate, code: SpiffeErrorCode): void {
  const fail = refuse('signing certificate', code)
  if (!ca) throw fail('it is not a CA')
  if (keyUsage === undefined) throw fail('it has no key usage')
  if (!keyUsage.critical) throw fail('its key usage is not critical')
  if (!keyUsage.keyCertSign) throw fail('its key usage lacks keyCertSign')
  if (uris.length > 1) throw fail(`expected at most one URI name, got ${uris.length}`)
  const [uri] = uris
  if (uri !== undefined && parseId(uri, fail).path !== '') throw fail(`${quoted(uri)} has a path`)
}

function parseId(uri: string, fail: ReturnType<typeof refuse>): SpiffeId {
  try {
    return SpiffeId.parse(uri)
  } catch (cause) {
    throw fail('its URI name is not a SPIFFE ID', cause)
  }
}

function refuse(what: string, code: SpiffeErrorCode): (why: string, cause?: unknown) => SpiffeError {
  return (why, cause) => new SpiffeError(code, `${what}: ${why}`, cause === undefined ? {} : { cause })
}
