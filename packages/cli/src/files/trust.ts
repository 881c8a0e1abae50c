import type { Readable } from 'node:stream'
import { KestError, type KeySource, keySourcesOf, parseTrustDocument, type TrustDocument } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe/verification'
import { UsageError } from '../arguments/usage-error.js'
import { InputError } from './input-error.js'
import { readText } from './read.js'

const EXPECTED =
  'expected {"keys": {"<principal>": [<JWK>, …]}, "bundles": {"<trust domain>": <SPIFFE bundle>}}'

/**
 * Trust material of the verifier's own (K-ANCHOR): a file with the `trust` object of SPEC §9.1, or with the SPIFFE bundle of
 * one trust domain, which does not say of which.
 *
 * @param trustDomain that of the bundle; `undefined` for a `trust` object
 * @throws {InputError} when it cannot be read, or holds something else: nothing is verified against less trust
 *   material than was meant
 * @throws {UsageError} when a trust domain is named for a file that is not a bundle
 */
export async function readTrust(
  path: string,
  trustDomain: string | undefined,
  stdin: Readable,
): Promise<TrustDocument> {
  return await readAs(`--trust ${path}`, path, stdin, (text) => trustIn(text, trustDomain))
}

/**
 * The SPIFFE bundle of one trust domain.
 * @throws {InputError} when it cannot be read, or holds something else
 */
export async function readBundle(path: string, trustDomain: string, stdin: Readable): Promise<TrustDocument> {
  return await readAs(`--bundle ${path}`, path, stdin, (text) => {
    if (!Array.isArray(parseObject(text)['keys']))
      throw new InputError('expected a SPIFFE bundle, {"keys": [<JWK>, …]}')
    return bundleOf(trustDomain, text)
  })
}

/**
 * Keys of principals: `{"<principal>": [<JWK>, …]}`.
 * @throws {InputError} when it cannot be read, or holds something else
 */
export async function readKeys(path: string, stdin: Readable): Promise<TrustDocument> {
  return await readAs(`--keys ${path}`, path, stdin, (text) => {
    const { keys: named } = parseObject(text)
    if (Array.isArray(named))
      throw new InputError(
        'it is a JWK Set, which does not say whose keys it holds: expected {"<principal>": [<JWK>, …]}',
      )
    // The text itself, so that a principal twice is seen.
    const { keys = {} } = parseTrustDocument(isPlain(named) ? text : `{"keys":${text}}`)
    return { keys }
  })
}

/**
 * One source for each kind of trust.
 * @throws {InputError} for keys that cannot be used
 */
export function sourcesOf(trust: TrustDocument, what: string): readonly KeySource[] {
  return attempt(what, () => keySourcesOf(trust, { x509: createX509KeySource }))
}

async function readAs(
  what: string,
  path: string,
  stdin: Readable,
  read: (text: string) => TrustDocument,
): Promise<TrustDocument> {
  try {
    const text = await readText(path, stdin)
    return attempt(what, () => {
      const trust = read(text)
      // Keys that cannot be used are the fault of this file.
      keySourcesOf(trust, { x509: createX509KeySource })
      return trust
    })
  } catch (error) {
    if (error instanceof KestError) throw new InputError(`${what}: ${error.message}`, { cause: error })
    throw error
  }
}

function attempt<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof KestError || error instanceof InputError)) throw error
    throw new InputError(`${what}: ${error.message}`, { cause: error })
  }
}

function trustIn(text: string, trustDomain: string | undefined): TrustDocument {
  const { keys, bundles, format } = parseObject(text)
  if (Array.isArray(keys)) {
    if (trustDomain !== undefined) return bundleOf(trustDomain, text)
    throw new InputError(
      'it is a SPIFFE bundle or a JWK Set: of a bundle, name the domain with --trust-domain',
    )
  }
  if (trustDomain !== undefined)
    throw new UsageError('--trust-domain is for a --trust FILE that is a SPIFFE bundle')
  if (keys === undefined && bundles === undefined) {
    const hint = format === undefined ? '' : '; of an evidence file, its "trust" member is what is meant'
    throw new InputError(`${EXPECTED}${hint}`)
  }
  return parseTrustDocument(text)
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
    throw new InputError('it is not JSON', { cause })
  }
  if (!isPlain(value)) throw new InputError('expected an object')
  return value
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
