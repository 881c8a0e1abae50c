import type { TrustDocument } from '@kest/core'
import { UsageError } from '../arguments/usage-error.js'
import type { Io } from '../command.js'
import { STDIN } from '../files/read.js'
import { readBundle, readKeys, readTrust } from '../files/trust.js'

/** Options that say whose keys count, of every command that verifies spans. */
export const TRUST_OPTIONS = {
  trust: { type: 'string' },
  bundle: { type: 'string', multiple: true },
  keys: { type: 'string', multiple: true },
} as const

export const TRUST_HELP = `  --bundle TD=FILE    the SPIFFE bundle of a trust domain; may be repeated
  --keys FILE         keys of principals, {"<principal>": [<JWK>, …]}; may be repeated
  --trust FILE        both, as evidence has them: {"keys": {…}, "bundles": {…}}
`

/** What was written for them. */
export interface TrustValues {
  readonly trust?: string
  readonly bundle?: readonly string[]
  readonly keys?: readonly string[]
}

/** @throws {UsageError} when it is to be read twice */
export function assertStdinOnce(
  paths: readonly string[],
  { trust, bundle = [], keys = [], roots }: TrustValues & { readonly roots?: string },
): void {
  const files = [...paths, ...bundle.map((text) => text.slice(text.indexOf('=') + 1)), ...keys, trust, roots]
  if (files.filter((path) => path === STDIN).length > 1)
    throw new UsageError('standard input can be read once')
}

/**
 * All trust material that is given (K-ANCHOR). Nothing in an export is believed about keys.
 *
 * @throws {UsageError} when none is, or a trust domain or principal is given twice
 */
export async function readTrustOptions(
  { trust, bundle = [], keys = [] }: TrustValues,
  { stdin }: Io,
): Promise<TrustDocument> {
  const documents: TrustDocument[] = []
  if (trust !== undefined) documents.push(await readTrust(trust, undefined, stdin))
  for (const text of bundle) {
    const [trustDomain, path] = splitBundle(text)
    documents.push(await readBundle(path, trustDomain, stdin))
  }
  for (const path of keys) documents.push(await readKeys(path, stdin))
  if (documents.length === 0)
    throw new UsageError('whose keys count? give --bundle TD=FILE, --keys FILE or --trust FILE')
  return {
    keys: merged(
      'principal',
      documents.map((one) => one.keys ?? {}),
    ),
    bundles: merged(
      'trust domain',
      documents.map((one) => one.bundles ?? {}),
    ),
  }
}

function splitBundle(text: string): [trustDomain: string, path: string] {
  const at = text.indexOf('=')
  if (at < 1 || at === text.length - 1)
    throw new UsageError(`--bundle: expected TRUST-DOMAIN=FILE, got "${text}"`)
  return [text.slice(0, at), text.slice(at + 1)]
}

/** Names are strangers' words, and own members whatever they are. */
function merged<T>(what: string, all: readonly Readonly<Record<string, T>>[]): Record<string, T> {
  const members = new Map<string, T>()
  for (const [name, value] of all.flatMap((one) => Object.entries(one))) {
    if (members.has(name)) throw new UsageError(`the ${what} ${name} is given twice`)
    members.set(name, value)
  }
  return Object.fromEntries(members)
}
