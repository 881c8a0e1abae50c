import { setTimeout as delay } from 'node:timers/promises'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { Clock } from '../clock.js'
import { KestError } from '../errors.js'
import { shown } from '../shown.js'
import { TOKEN_ALGORITHMS } from '../tokens/token-options.js'
import { remedyFor } from './remedy.js'
import type { TokenSource } from './token-source.js'
import { KEY_AUDIENCE, type Vouching, vouchingOf, whyNot } from './vouching.js'

/** A token that vouches for the key of this process. */
export interface HeldToken extends Vouching {
  readonly token: string
}

/** How the first token is waited for. */
export interface FirstTokenSettings {
  readonly clock: Clock
  readonly pollMs: number
  readonly timeoutMs: number
}

/** How often a token is looked for that somebody else has issued meanwhile. */
const STEP_MS = 200
/** Signatures have the length that their algorithm says; those of RSA that of the key, of 2048 bits and more. */
const SIGNATURE_BYTES: Readonly<Record<string, number>> = { ES256: 64, ES384: 96, ES512: 132 }
const EDDSA_BYTES = 64
const RSA_BYTES = 256
const RSA_STEP = 64

/**
 * Reads the token, and what it says about the key. Its signature is not checked, but that it is all there: a file may be read
 * while it is being written.
 *
 * @throws whatever stops it. No message has anything of the token but names in its claims.
 */
export async function readToken(source: TokenSource, kid: string, clock: Clock): Promise<HeldToken> {
  const token = await source.read(`${KEY_AUDIENCE}${kid}`)
  const vouching = vouchingOf(claimsOf(token), kid)
  if (vouching.until <= clock.now()) throw refused(`it ended at ${timeText(vouching.until)}`)
  assertWhole(token)
  return Object.freeze({ ...vouching, token })
}

/**
 * The one to start with; where a sidecar has it issued, it is waited for.
 * @throws {KestError} `ERR_KEST_IDENTITY`: why there is none, and what to do about it
 */
export async function readFirstToken(
  source: TokenSource,
  kid: string,
  { clock, pollMs, timeoutMs }: FirstTokenSettings,
): Promise<HeldToken> {
  const end = performance.now() + (source.issues === 'later' ? timeoutMs : 0)
  for (;;) {
    try {
      return await readToken(source, kid, clock)
    } catch (cause) {
      if (performance.now() >= end)
        throw new KestError(
          'ERR_KEST_IDENTITY',
          `OIDCIdentity: ${source.name} is not used: ${whyNot(cause)}. ${remedyFor(kid)}`,
          { cause },
        )
    }
    await delay(Math.min(pollMs, STEP_MS))
  }
}

/** A time in a message. */
export function timeText(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : `${time} ms`
}

function claimsOf(token: string): ReturnType<typeof decodeJwt> {
  try {
    return decodeJwt(token)
  } catch {
    // The cause may show what is in it.
    throw refused('it is no JWT')
  }
}

function assertWhole(token: string): void {
  const alg = algorithmOf(token)
  if (!(TOKEN_ALGORITHMS as readonly unknown[]).includes(alg))
    throw refused(`it is signed with ${shown(String(alg), 20)}, and nobody can verify that by a public key`)
  const bytes = Math.floor((token.length - token.lastIndexOf('.') - 1) * (3 / 4))
  if (!hasLength(alg as string, bytes)) throw refused(`its signature has ${bytes} bytes: it is cut off`)
}

function algorithmOf(token: string): unknown {
  try {
    return decodeProtectedHeader(token).alg
  } catch {
    throw refused('it is no JWT')
  }
}

function hasLength(alg: string, bytes: number): boolean {
  if (/^[RP]S/.test(alg)) return bytes >= RSA_BYTES && bytes % RSA_STEP === 0
  return bytes === (SIGNATURE_BYTES[alg] ?? EDDSA_BYTES)
}

function refused(why: string): KestError {
  return new KestError('ERR_KEST_TOKEN', why)
}
