import { KestError, type KeySource, keySourcesOf, parseTrustDocument, type TrustDocument } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe/verification'
import { InputError } from '../files/input-error.js'
import type { ReadText } from '../files/read.js'
import type { TrustForm } from './form.js'

const EXPECTED =
  'expected {"keys": {"<principal>": [<JWK>, …]}, "bundles": {"<trust domain>": <SPIFFE bundle>}}, or {"<principal>": [<JWK>, …]}'
const BUNDLE = 'a SPIFFE bundle, {"keys": [<JWK>, …]}'

/**
 * Trust material of the verifier's own (K-ANCHOR): the `trust` object of SPEC §9.1, keys of principals, or the SPIFFE bundle of one
 * trust domain, which does not say of which.
 *
 * @throws {InputError} when it cannot be read, or holds something else: nothing is verified against less trust material than was meant
 */
export async function readTrust(form: TrustForm, read: ReadText): Promise<TrustDocument> {
  return await attempt(form.written, async () => {
    const trust = trustIn(await read(form.path), form)
    // Keys that cannot be used are the fault of this file.
    keySourcesOf(trust, { x509: createX509KeySource })
    return trust
  })
}

/**
 * One source for each kind of trust.
 * @throws {InputError} for keys that cannot be used
 */
export async function sourcesOf(trust: TrustDocument): Promise<readonly KeySource[]> {
  return await attempt('the trust material', () => keySourcesOf(trust, { x509: createX509KeySource }))
}

async function attempt<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof KestError || error instanceof InputError)) throw error
    throw new InputError(`${what}: ${error.message}`, { cause: error })
  }
}

function trustIn(text: string, { trustDomain, path }: TrustForm): TrustDocument {
  const value = parseObject(text)
  const { keys, bundles, format } = value
  if (Array.isArray(keys)) {
    if (trustDomain !== null) return bundleOf(trustDomain, text)
    throw new InputError(
      `it is a SPIFFE bundle or a JWK Set, which does not say whose keys it holds: of a bundle, name the domain, --trust TRUST-DOMAIN=${path}; keys of principals are {"<principal>": [<JWK>, …]}`,
    )
  }
  if (trustDomain !== null)
    throw new InputError(
      `expected ${BUNDLE}; of what names its principals or domains itself, --trust ${path}`,
    )
  if (keys !== undefined || bundles !== undefined) return parseTrustDocument(text)
  if (format !== undefined)
    throw new InputError(`${EXPECTED}; of an evidence file, its "trust" member is what is meant`)
  const members = Object.values(value)
  // The text itself, so that a principal twice is seen.
  if (members.length > 0 && members.every(Array.isArray)) return parseTrustDocument(`{"keys":${text}}`)
  throw new InputError(EXPECTED)
}

/** By way of JSON, so that a member twice is seen, and `__proto__` is a name like any other. */
function bundleOf(trustDomain: string, text: string): TrustDocument {
  return parseTrustDocument(`{"bundles":{${JSON.stringify(trustDomain)}:${text}}}`)
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    const pem = /^\s*-----BEGIN /.test(text)
    throw new InputError(
      pem
        ? `it is PEM: expected ${BUNDLE}, as \`spire-server bundle show -format spiffe\` says it`
        : 'it is not JSON',
      { cause },
    )
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw new InputError(EXPECTED)
}
