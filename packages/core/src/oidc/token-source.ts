import { rename, rm, writeFile } from 'node:fs/promises'
import { assertOptions } from '../assert-options.js'
import { KestConfigError, KestError } from '../errors.js'
import { inTime } from '../in-time.js'
import { isPromise } from '../maybe-promise.js'
import { readRegularFile } from '../regular-file.js'
import { MAX_TOKEN_BYTES } from './vouching.js'

/**
 * Asks the platform for a token with this audience, `urn:kest:key:<thumbprint>`: for a key that the process itself made, whose
 * thumbprint nobody can know before.
 */
export type TokenRequest = (audience: string, options: { readonly signal: AbortSignal }) => Promise<string>

/** A file that the platform, or a sidecar, keeps new. */
export interface TokenFile {
  readonly file: string | URL
  /**
   * Where the audience to ask for is written before the token is read, for a sidecar that asks in the process's stead. Each process
   * has a pair of files of its own. Default: nowhere; the file is there with a token for a key that was mounted.
   */
  readonly audienceFile?: string | URL
}

/** Where a workload's token is: in a file, in a variable, or to be asked for. */
export type OIDCToken = TokenFile | { readonly env: string } | TokenRequest

/** Reads it. */
export interface TokenSource {
  /** As errors call it. */
  readonly name: string
  /** `now`: each reading is a new token. `later`: somebody else has it issued meanwhile. `no`: it is there, or it is not. */
  readonly issues: 'now' | 'later' | 'no'
  read(audience: string): Promise<string>
}

/** @throws {KestConfigError} for what is none of the three */
export function createTokenSource(token: OIDCToken, timeoutMs: number): TokenSource {
  if (typeof token === 'function')
    return {
      name: 'the token that was asked for',
      issues: 'now',
      read: (audience) => request(token, audience, timeoutMs),
    }
  assertOptions('OIDCIdentity: token', token, ['file', 'audienceFile', 'env'])
  const { file, audienceFile, env } = token as Readonly<Record<string, unknown>>
  if (isPath(file) && env === undefined) {
    const name = `the token in ${String(file)}`
    if (audienceFile === undefined) return { name, issues: 'no', read: () => readFile(file) }
    if (isPath(audienceFile)) return { name, issues: 'later', read: askingBy(audienceFile, file) }
  }
  if (file === undefined && audienceFile === undefined && typeof env === 'string' && env !== '')
    return { name: `the token in ${env}`, issues: 'no', read: async () => bounded(process.env[env]) }
  throw new KestConfigError(
    'OIDCIdentity: token: expected { file: path } or { file: path, audienceFile: path }, { env: name of a variable }, or a function that asks for one',
  )
}

function isPath(value: unknown): value is string | URL {
  return (typeof value === 'string' && value !== '') || value instanceof URL
}

async function request(ask: TokenRequest, audience: string, timeoutMs: number): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs)
  const late = (): KestError => new KestError('ERR_KEST_IDENTITY', `no token within ${timeoutMs} ms`)
  const asked: unknown = ask(audience, { signal })
  if (!isPromise(asked)) return bounded(asked)
  return bounded(await inTime(asked, { ms: timeoutMs, late }))
}

function askingBy(audienceFile: string | URL, file: string | URL): TokenSource['read'] {
  let isWritten = false
  return async (audience) => {
    if (!isWritten) await writeAtOnce(audienceFile, `${audience}\n`)
    isWritten = true
    return readFile(file)
  }
}

/** Whoever reads it sees all of it, or what was there before. */
async function writeAtOnce(file: string | URL, text: string): Promise<void> {
  const unfinished = file instanceof URL ? new URL(`${file.href}.new`) : `${file}.new`
  // What there is by that name was left by another process, or leads elsewhere.
  await rm(unfinished, { force: true })
  await writeFile(unfinished, text, { flag: 'wx' })
  await rename(unfinished, file)
}

async function readFile(file: string | URL): Promise<string> {
  return bounded((await readRegularFile(file, { maxBytes: MAX_TOKEN_BYTES })).toString('latin1'))
}

/** Without the line break that files and variables often end with. */
function bounded(text: unknown): string {
  if (typeof text !== 'string' || text.trim() === '') throw new Error('there is none')
  if (text.length > MAX_TOKEN_BYTES) throw new Error(`it has more than ${MAX_TOKEN_BYTES} bytes`)
  return text.trim()
}
