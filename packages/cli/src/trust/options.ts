import type { TrustDocument } from '@kest/core'
import { UsageError } from '../arguments/usage-error.js'
import { type ReadText, STDIN } from '../files/read.js'
import { bundleForm, parseTrustForm, type TrustForm } from './form.js'
import { readTrust } from './read.js'

const FORM = '[TRUST-DOMAIN=]FILE'

/** Options that say whose keys count, of every command that verifies. All but the first are other names for it. */
export const TRUST_OPTIONS = {
  trust: {
    type: 'string',
    multiple: true,
    value: FORM,
    choices: 'file',
    help: `Whose keys count; may be repeated. TRUST-DOMAIN=FILE is the SPIFFE bundle of a trust domain, FILE alone keys of
      principals, {"<principal>": [<JWK>, …]}, or keys and bundles as evidence has them, {"keys": {…}, "bundles":
      {"<trust domain>": …}}.`,
  },
  bundle: {
    type: 'string',
    multiple: true,
    value: FORM,
    choices: 'file',
    help: 'The same as --trust.',
  },
  keys: { type: 'string', multiple: true, value: FORM, choices: 'file', help: 'The same as --trust.' },
  'trust-domain': {
    type: 'string',
    value: 'NAME',
    help: 'With one --trust FILE: the same as --trust NAME=FILE.',
  },
} as const

/** What was written for them. */
export interface TrustValues {
  readonly trust?: readonly string[] | undefined
  readonly bundle?: readonly string[] | undefined
  readonly keys?: readonly string[] | undefined
  readonly 'trust-domain'?: string | undefined
}

/** What a command reads, as it was named. */
export function inputsOf(
  paths: readonly string[],
  values: TrustValues & { readonly roots?: string | undefined },
): readonly string[] {
  const roots = values.roots === undefined ? [] : [values.roots]
  return [...paths, ...formsOf(values).map(({ path }) => path), ...roots]
}

/** @throws {UsageError} when it is to be read twice */
export function assertStdinOnce(inputs: readonly string[]): void {
  if (inputs.filter((path) => path === STDIN).length > 1)
    throw new UsageError('standard input can be read once: "-" is given more often')
}

/**
 * All trust material that is given (K-ANCHOR). Nothing in evidence or an export is believed about keys beside it.
 *
 * @returns `undefined` when there is none
 * @throws {UsageError} when a trust domain or principal is given twice
 */
export async function readTrustOptions(
  values: TrustValues,
  read: ReadText,
): Promise<TrustDocument | undefined> {
  const documents: TrustDocument[] = []
  for (const form of formsOf(values)) documents.push(await readTrust(form, read))
  if (documents.length === 0) return undefined
  const keys = documents.flatMap(({ keys }) => (keys === undefined ? [] : [keys]))
  const bundles = documents.flatMap(({ bundles }) => (bundles === undefined ? [] : [bundles]))
  // Which kinds of trust were given is known to whoever verifies.
  return {
    ...(keys.length === 0 ? {} : { keys: merged('principal', keys) }),
    ...(bundles.length === 0 ? {} : { bundles: merged('trust domain', bundles) }),
  }
}

/**
 * As {@link readTrustOptions}, for exported spans, which bring no keys along: a principal of which nothing is given is unknown.
 * @throws {UsageError} when there is none
 */
export async function requireTrustOptions(values: TrustValues, read: ReadText): Promise<TrustDocument> {
  const trust = await readTrustOptions(values, read)
  if (trust !== undefined) return { keys: {}, bundles: {}, ...trust }
  throw new UsageError(
    'whose keys count? --trust TRUST-DOMAIN=FILE for a SPIFFE bundle, --trust FILE for keys of principals',
  )
}

function formsOf(values: TrustValues): TrustForm[] {
  const { trust = [], bundle = [], keys = [], 'trust-domain': name } = values
  if (name === undefined) {
    const named = { trust, bundle, keys }
    return Object.entries(named).flatMap(([option, texts]) =>
      texts.map((text) => parseTrustForm(option, text)),
    )
  }
  const [file, ...others] = [...trust, ...bundle, ...keys].map((text) => parseTrustForm('trust', text))
  if (file === undefined || others.length > 0 || file.trustDomain !== null)
    throw new UsageError(
      '--trust-domain is for one --trust FILE: of several, write --trust TRUST-DOMAIN=FILE',
    )
  return [bundleForm('trust', name, file.path)]
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
