import { assertOptions } from '../assert-options.js'
import { KestConfigError, KestError } from '../errors.js'
import { inTime } from '../in-time.js'
import { isPromise } from '../maybe-promise.js'
import { readRegularFile } from '../regular-file.js'
import { MAX_TOKEN_BYTES } from './vouching.js'

/**
 * Asks the platform for a token with this audience, `urn:kest:key:<thumbprint>`. The one way for a key that the process itself
 * made: nobody can know its thumbprint before.
 */
export type TokenRequest = (audience: string, options: { readonly signal: AbortSignal }) => Promise<string>

/** Where a workload's token is: in a file that the platform keeps new, in a variable, or to be asked for. */
export type OIDCToken = { readonly file: string | URL } | { readonly env: string } | TokenRequest

/** Reads it. */
export interface TokenSource {
  /** As errors call it. */
  readonly name: string
  /** Whether each reading is a new token. Others are looked at for whether they changed. */
  readonly asks: boolean
  read(audience: string): Promise<string>
}

/** @throws {KestConfigError} for what is none of the three */
export function createTokenSource(token: OIDCToken, timeoutMs: number): TokenSource {
  if (typeof token === 'function')
    return {
      name: 'the token that was asked for',
      asks: true,
      read: (audience) => request(token, audience, timeoutMs),
    }
  assertOptions('OIDCIdentity: token', token, ['file', 'env'])
  const { file, env } = token as { readonly file?: unknown; readonly env?: unknown }
  if (env === undefined && ((typeof file === 'string' && file !== '') || file instanceof URL))
    return { name: `the token in ${String(file)}`, asks: false, read: () => readFile(file) }
  if (file === undefined && typeof env === 'string' && env !== '')
    return { name: `the token in ${env}`, asks: false, read: async () => bounded(process.env[env]) }
  throw new KestConfigError(
    'OIDCIdentity: token: expected { file: path }, { env: name of a variable }, or a function that asks for one',
  )
}

async function request(ask: TokenRequest, audience: string, timeoutMs: number): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs)
  const late = (): KestError => new KestError('ERR_KEST_IDENTITY', `no token within ${timeoutMs} ms`)
  const asked: unknown = ask(audience, { signal })
  if (!isPromise(asked)) return bounded(asked)
  return bounded(await inTime(asked, { ms: timeoutMs, late }))
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
