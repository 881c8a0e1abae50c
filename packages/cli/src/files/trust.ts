import type { Readable } from 'node:stream'
import { KestError, type KeySource, keySourcesOf, parseTrustDocument } from '@kest/core'
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
): Promise<readonly KeySource[]> {
  try {
    return sourcesIn(await readText(path, stdin), trustDomain)
  } catch (error) {
    if (error instanceof KestError || error instanceof InputError) {
      throw new InputError(`--trust ${path}: ${error.message}`, { cause: error })
    }
    throw error
  }
}

function sourcesIn(text: string, trustDomain: string | undefined): readonly KeySource[] {
  const { keys, bundles, format } = parseObject(text)
  if (Array.isArray(keys)) {
    if (trustDomain !== undefined) return keySourcesOf({ bundles: { [trustDomain]: text } }, X509)
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
  return keySourcesOf(parseTrustDocument(text), X509)
}

const X509 = { x509: createX509KeySource }

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new InputError('it is not JSON', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InputError('expected an object')
  return value as Record<string, unknown>
}
