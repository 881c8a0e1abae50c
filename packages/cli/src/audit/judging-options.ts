import { type IdentityAuthority, KestError, parseRootsFile, type RootList } from '@kest/core'
import { UsageError } from '../arguments/usage-error.js'
import { InputError } from '../files/input-error.js'
import type { ReadText } from '../files/read.js'

/** Options that say whose word counts for what, of every command that judges lineage. */
export const JUDGING_OPTIONS = {
  roots: {
    type: 'string',
    value: 'FILE',
    choices: 'file',
    help: `Who may begin lineage: a deployment file of the services, or one that has nothing but "roots". What others began
      has no trust, and is a finding.`,
  },
  'identity-authorities': {
    type: 'string',
    multiple: true,
    value: 'LIST',
    help: `The principals that may state another user, agent or task than their lineage has, separated by commas; may be
      repeated. The default is nobody.`,
  },
} as const

export const RAISERS_OPTION = {
  raisers: {
    type: 'string',
    multiple: true,
    value: 'LIST',
    help: `The principals that may raise trust and remove taints, separated by commas; may be repeated. "" is nobody; the
      default is everybody.`,
  },
} as const

/** What was written for them. */
export interface JudgingValues {
  readonly roots?: string
  readonly 'identity-authorities'?: readonly string[]
}

/** As `@kest/core` and `@kest/audit` take them. */
export interface Judging {
  readonly roots?: RootList
  readonly identityAuthorities?: readonly IdentityAuthority[]
}

/**
 * @throws {InputError} when the file cannot be read, or lists no roots
 * @throws {UsageError} for an authority without a name
 */
export async function readJudgingOptions(values: JudgingValues, read: ReadText): Promise<Judging> {
  const { roots, 'identity-authorities': lists } = values
  const names = lists?.flatMap((list) => list.split(','))
  if (names?.includes(''))
    throw new UsageError('--identity-authorities: expected principals, separated by commas')
  return {
    ...(roots === undefined ? {} : { roots: await readRoots(roots, read) }),
    ...(names === undefined ? {} : { identityAuthorities: names }),
  }
}

async function readRoots(path: string, read: ReadText): Promise<RootList> {
  const text = await attempt(`--roots ${path}: `, () => read(path))
  // Its messages begin with the path.
  return await attempt('--roots ', () => parseRootsFile(text, path))
}

async function attempt<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof KestError) throw new InputError(`${what}${error.message}`, { cause: error })
    throw error
  }
}
