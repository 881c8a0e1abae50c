/** The response header that a receipt travels in (K-RECEIPT). */
export const RECEIPT_HEADER = 'kest-receipt'

/** Characters of a receipt: what is longer is neither sent nor read. */
export const MAX_RECEIPT_LENGTH = 4096

/** Whether a name, as text or as the bytes that came, is that of the header. */
export function isReceiptHeader(name: unknown): boolean {
  if (typeof name === 'string')
    return name.length === RECEIPT_HEADER.length && name.toLowerCase() === RECEIPT_HEADER
  return name instanceof Uint8Array && name.length === RECEIPT_HEADER.length && isReceiptHeader(latin1(name))
}

/** Header fields in one of the forms that clients and servers have them in, and the receipts that were among them. */
export interface TakenReceipts<H> {
  /** The same form without the header: the very same object, where it had none. */
  readonly headers: H
  /** What the header said, field by field. */
  readonly values: readonly string[]
}

/**
 * Takes receipts out of header fields: a record (values may be lists), a flat list of names and values by turns, or pairs;
 * names and values may be bytes. Nothing of what is given is changed.
 */
export function takeReceipts<H>(headers: H): TakenReceipts<H> {
  if (typeof headers !== 'object' || headers === null) return { headers, values: [] }
  if (!Array.isArray(headers)) return takeFromRecord(headers)
  return Array.isArray(headers[0]) ? takeFromPairs(headers) : takeFromList(headers)
}

function takeFromRecord<H extends object>(headers: H): TakenReceipts<H> {
  const names = Object.keys(headers).filter(isReceiptHeader)
  if (names.length === 0) return { headers, values: [] }
  const rest = { ...headers } as Record<string, unknown>
  for (const name of names) delete rest[name]
  const values = names.flatMap((name) => textsOf((headers as Record<string, unknown>)[name]))
  return { headers: rest as H, values }
}

function takeFromPairs<H extends unknown[]>(headers: H): TakenReceipts<H> {
  const isOurs = (pair: unknown): boolean => Array.isArray(pair) && isReceiptHeader(pair[0])
  if (!headers.some(isOurs)) return { headers, values: [] }
  return {
    headers: headers.filter((pair) => !isOurs(pair)) as H,
    values: headers.filter(isOurs).flatMap((pair) => textsOf((pair as unknown[])[1])),
  }
}

function takeFromList<H extends unknown[]>(headers: H): TakenReceipts<H> {
  if (!headers.some((item, n) => n % 2 === 0 && isReceiptHeader(item))) return { headers, values: [] }
  const isOurs = (n: number): boolean => isReceiptHeader(headers[n - (n % 2)])
  return {
    headers: headers.filter((_, n) => !isOurs(n)) as H,
    values: headers.flatMap((value: unknown, n) => (n % 2 === 1 && isOurs(n) ? textsOf(value) : [])),
  }
}

function textsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsOf)
  return [value instanceof Uint8Array ? latin1(value) : String(value)]
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
