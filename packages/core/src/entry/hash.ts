import { hash } from 'node:crypto'

/** The entry's name: lowercase hex SHA-256 of its whole compact string (NF-CORR-02). */
export function entryHash(jws: string): string {
  return sha256Hex(jws)
}

/** SHA-256, lowercase hex; of a string, that of its UTF-8 bytes. For `content_hash` and `input_hash`. */
export function sha256Hex(data: string | Uint8Array): string {
  return hash('sha256', data, 'hex')
}
