import { randomFillSync } from 'node:crypto'

/** Drawn from the system in batches: a few bytes cost as much as thousands. */
const pool = Buffer.allocUnsafeSlow(4096)
let used = pool.length

/** Where the next `count` bytes of the pool are; each is given out once. */
function draw(count: number): number {
  if (used + count > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const start = used
  used += count
  return start
}

/** 16 random bytes as lowercase hex, never all zero (K-TRACE). */
export function randomTraceId(): string {
  const start = draw(16)
  const id = pool.toString('hex', start, start + 16)
  return /^0+$/.test(id) ? randomTraceId() : id
}

const uuid = Buffer.allocUnsafeSlow(16)

/** A UUID v7 (RFC 9562 §5.7): 48 bits of milliseconds since the epoch, version, variant, and 74 random bits. */
export function uuidV7(): string {
  const start = draw(10)
  pool.copy(uuid, 6, start, start + 10)
  uuid.writeUIntBE(Date.now(), 0, 6)
  uuid[6] = ((uuid[6] as number) & 0x0f) | 0x70
  uuid[8] = ((uuid[8] as number) & 0x3f) | 0x80
  const hex = uuid.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** 16 random bytes as base64url. */
export function randomNonce(): string {
  const start = draw(16)
  return pool.toString('base64url', start, start + 16)
}
