import { readRegularFile } from '@kest/core'
import type { OPAOptions } from '@kest/opa'
import { InputError } from '../files/input-error.js'
import { UsageError } from './usage-error.js'

/** How an OPA is reached, beside its URL. */
export const OPA_OPTIONS = {
  'opa-socket': {
    type: 'string',
    value: 'PATH',
    choices: 'file',
    help: 'The Unix socket that OPA serves on; --opa is http://opa then, unless it is given.',
  },
  'opa-token-file': {
    type: 'string',
    value: 'FILE',
    choices: 'file',
    help: 'Holds the bearer token for OPA. It is not shown.',
  },
} as const

/** Where an OPA is, and by what it lets us ask. */
export type OpaAddress = Pick<OPAOptions, 'url' | 'socketPath' | 'token'>

/**
 * Of which OPAs one is told; by a socket or a token there is one alone.
 *
 * @throws {UsageError} @throws {InputError}
 */
export async function opasOf(
  urls: readonly string[],
  values: { readonly 'opa-socket'?: string; readonly 'opa-token-file'?: string },
): Promise<readonly OpaAddress[]> {
  const { 'opa-socket': socketPath, 'opa-token-file': tokenFile } = values
  if (urls.length === 0 && socketPath === undefined) {
    if (tokenFile !== undefined) throw new UsageError('--opa-token-file: for which OPA? --opa URL')
    return []
  }
  if (urls.length > 1) {
    // A token is for whom it was made: another would learn it.
    for (const [name, value] of Object.entries({ socket: socketPath, 'token-file': tokenFile }))
      if (value !== undefined)
        throw new UsageError(`--opa-${name}: for which OPA? --opa is given more than once`)
  }
  const token = tokenFile === undefined ? undefined : await tokenIn(tokenFile)
  return (urls.length === 0 ? ['http://opa'] : urls).map((url) => ({
    url: httpUrl('opa', url),
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(token === undefined ? {} : { token }),
  }))
}

async function tokenIn(path: string): Promise<string> {
  try {
    return (await readRegularFile(path)).toString('utf8').trim()
  } catch (cause) {
    throw new InputError(`--opa-token-file: ${(cause as Error).message}`, { cause })
  }
}

/** What is no URL may be a secret in the wrong place, and is not shown. */
export function httpUrl(option: string, value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : null
  if (url !== null && /^https?:$/.test(url.protocol)) return url
  throw new UsageError(`--${option}: expected a URL of http or https, such as http://127.0.0.1:8080`)
}
