import { types } from 'node:util'
import { KestError } from '../errors.js'
import type { Signer } from '../identity/provider.js'
import { answered, isPromise, type MaybePromise } from '../maybe-promise.js'
import type { SigningAlgorithm } from './algorithm.js'
import { isHighS, isInRange } from './ecdsa.js'
import type { JwsType } from './header.js'

/** The least and the most bytes of a signature. */
const SIGNATURE_BYTES: { readonly [Alg in SigningAlgorithm]: readonly [least: number, most: number] } = {
  EdDSA: [64, 64],
  ES256: [64, 64],
  ES384: [96, 96],
  PS256: [256, 512],
}

const headers: { readonly [Type in JwsType]: WeakMap<Signer['header'], string> } = {
  JWS: new WeakMap(),
  'kest-hop': new WeakMap(),
  'kest-message': new WeakMap(),
  'kest-denial': new WeakMap(),
}

/** Longer texts get bytes of their own. */
const SPARE_BYTES = 16_384

/** What one text after the other is written to: bytes of its own for each would be much of the garbage. */
let spare: Buffer | undefined

/**
 * Signs text as a JWS compact string (SPEC §3.2). Synchronous when the signer is.
 *
 * @param what it is called in errors
 * @param maxBytes of the compact string; checked before the key is used
 * @throws {KestError} `ERR_KEST_LIMIT`; `ERR_KEST_IDENTITY` when the signer fails, or answers something that is no
 *   signature of its algorithm.
 */
export function signCompact(
  what: string,
  type: JwsType,
  payload: string,
  signer: Signer,
  maxBytes: number,
): MaybePromise<string> {
  const segment = toBase64Url(payload)
  const signingInput = `${headerSegment(signer.header, type)}.${segment}`
  assertRoom(what, signingInput, signer, maxBytes)
  let signature: MaybePromise<Uint8Array>
  try {
    signature = answered(sign(signingInput, signer))
  } catch (cause) {
    throw failed(cause)
  }
  if (isPromise(signature)) {
    return signature.then(
      (bytes) => assemble(signingInput, signer, bytes),
      (cause: unknown) => {
        throw failed(cause)
      },
    )
  }
  return assemble(signingInput, signer, signature)
}

/** Characters that {@link signCompact} answers at most for a payload, known before anything is signed. */
export function compactLength(type: JwsType, payload: string, { header }: Signer): number {
  const before = headerSegment(header, type).length + Math.ceil((Buffer.byteLength(payload) * 4) / 3)
  return before + 2 + Math.ceil((SIGNATURE_BYTES[header.alg][1] * 4) / 3)
}

/** Of a text's UTF-8 bytes, of which a UTF-16 unit gives three at most. */
function toBase64Url(text: string): string {
  if (spare === undefined || text.length * 3 > SPARE_BYTES)
    return Buffer.from(text, 'utf8').toString('base64url')
  return spare.toString('base64url', 0, spare.write(text, 'utf8'))
}

/** A signer in this process is lent the spare bytes. One that answers a promise, or throws, may keep them. */
function sign(signingInput: string, signer: Signer): MaybePromise<Uint8Array> {
  if (!signer.local || signingInput.length > SPARE_BYTES)
    return signer.sign(Buffer.from(signingInput, 'latin1'))
  const bytes = spare ?? Buffer.allocUnsafeSlow(SPARE_BYTES)
  spare = undefined
  const signature = signer.sign(bytes.subarray(0, bytes.write(signingInput, 'latin1')))
  if (!isPromise(signature)) spare = bytes
  return signature
}

function assemble(signingInput: string, signer: Signer, signature: Uint8Array): string {
  assertSignature(signer.header.alg, signature)
  const { buffer, byteOffset, byteLength } = signature
  return `${signingInput}.${Buffer.from(buffer, byteOffset, byteLength).toString('base64url')}`
}

/** Made once per header: a signer keeps the same object until its identity changes. */
function headerSegment(header: Signer['header'], type: JwsType): string {
  let segment = headers[type].get(header)
  if (segment === undefined) {
    segment = Buffer.from(headerJson(header, type), 'utf8').toString('base64url')
    headers[type].set(header, segment)
  }
  return segment
}

function headerJson({ alg, kid, x5c }: Signer['header'], typ: JwsType): string {
  if (!Object.hasOwn(SIGNATURE_BYTES, alg))
    throw new KestError('ERR_KEST_IDENTITY', `the signer's alg is "${alg}"`)
  if ((kid === undefined) === (x5c === undefined)) {
    throw new KestError('ERR_KEST_IDENTITY', 'the signer must have either a kid or certificates (K-X5C)')
  }
  return JSON.stringify(kid === undefined ? { alg, typ, x5c } : { alg, typ, kid })
}

function assertRoom(what: string, signingInput: string, { header }: Signer, maxBytes: number): void {
  const bytes = signingInput.length + 1 + Math.ceil((SIGNATURE_BYTES[header.alg][0] * 4) / 3)
  if (bytes > maxBytes)
    throw new KestError('ERR_KEST_LIMIT', `${what} would have ${bytes} bytes, over ${maxBytes}`)
}

function assertSignature(alg: SigningAlgorithm, signature: unknown): asserts signature is Uint8Array {
  const [least, most] = SIGNATURE_BYTES[alg]
  if (!types.isUint8Array(signature) || signature.length < least || signature.length > most) {
    const got = types.isUint8Array(signature) ? `${signature.length} bytes` : typeof signature
    throw new KestError('ERR_KEST_IDENTITY', `the signer answered ${got}, which is no ${alg} signature`)
  }
  if (!isInRange(alg, signature) || isHighS(alg, signature)) {
    throw new KestError(
      'ERR_KEST_IDENTITY',
      `the signer answered an ${alg} signature that is out of range (K-LOWS)`,
    )
  }
}

function failed(cause: unknown): KestError {
  if (cause instanceof KestError) return cause
  return new KestError('ERR_KEST_IDENTITY', 'the signer failed', { cause })
}
