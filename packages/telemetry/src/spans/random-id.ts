import { randomFillSync } from 'node:crypto'

/** Drawn from the system in batches: a few bytes cost as much as thousands. */
const pool = Buffer.allocUnsafeSlow(4_096)
let used = pool.length

/** So many random bytes as lowercase hex, never all zero, which W3C Trace Context gives no meaning. Each is given out once. */
export function randomId(bytes: 8 | 16): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const id = pool.toString('hex', used, used + bytes)
  used += bytes
  return /[^0]/.test(id) ? id : randomId(bytes)
}
