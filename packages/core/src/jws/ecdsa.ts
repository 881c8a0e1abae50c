import type { JwsAlgorithm } from './algorithm.js'

/** Orders of the curves, big-endian (SEC 2 §2.4.2, §2.5.1), and half of them, rounded down. */
const CURVES: { readonly [Alg in JwsAlgorithm]?: { readonly order: Buffer; readonly half: Buffer } } = {
  ES256: curve('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'),
  ES384: curve(
    'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
  ),
}

/** Whether r‖s has the right length and both lie in 1…n−1; true for algorithms that are not ECDSA. */
export function isInRange(alg: JwsAlgorithm, signature: Uint8Array): boolean {
  const order = CURVES[alg]?.order
  if (order === undefined) return true
  const size = order.length
  return signature.length === 2 * size && isScalar(signature, 0, order) && isScalar(signature, size, order)
}

/**
 * Whether an ECDSA signature is the one of two with s > n/2 (K-LOWS): anyone can turn the one into the other without
 * the key, and so make another entry hash. False for algorithms that are not ECDSA.
 */
export function isHighS(alg: JwsAlgorithm, signature: Uint8Array): boolean {
  const half = CURVES[alg]?.half
  return half !== undefined && compareAt(signature, half.length, half) > 0
}

/** The signature of the two with s ≤ n/2, in place. */
export function lowerS(alg: JwsAlgorithm, signature: Uint8Array): Uint8Array {
  const order = CURVES[alg]?.order
  if (order === undefined || !isHighS(alg, signature)) return signature
  const size = order.length
  let borrow = 0
  for (let i = size - 1; i >= 0; i--) {
    const digit = (order[i] as number) - (signature[size + i] as number) - borrow
    borrow = digit < 0 ? 1 : 0
    signature[size + i] = digit & 0xff
  }
  return signature
}

/** Whether the number at `at`, as long as the order, lies in 1…n−1. */
function isScalar(bytes: Uint8Array, at: number, order: Buffer): boolean {
  if (compareAt(bytes, at, order) >= 0) return false
  for (let i = 0; i < order.length; i++) if (bytes[at + i] !== 0) return true
  return false
}

/** Compares the number at `at`, as long as the other, with the other. Decided by the first byte, mostly. */
function compareAt(bytes: Uint8Array, at: number, other: Buffer): number {
  for (let i = 0; i < other.length; i++) {
    const difference = (bytes[at + i] as number) - (other[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}

function curve(hex: string): { readonly order: Buffer; readonly half: Buffer } {
  const half = (BigInt(`0x${hex}`) / 2n).toString(16).padStart(hex.length, '0')
  return { order: Buffer.from(hex, 'hex'), half: Buffer.from(half, 'hex') }
}
