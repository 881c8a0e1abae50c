/** One DER value, found and not read. */
export interface Element {
  readonly tag: number
  readonly contents: Buffer
  /** With tag and length. */
  readonly encoded: Buffer
}

export const TAG = {
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  /** `[0]` around whole values; others add their number. */
  constructed: 0xa0,
} as const

/** Octets of a length that is not a single one; more of them are longer than anything here. */
const MAX_LENGTH_OCTETS = 3

/**
 * The members of a value that consists of others (X.690 §8.1). Finding them is all that is done with most of a
 * certificate; what counts is then read by a library.
 */
export function membersOf({ contents }: Element): readonly Element[] {
  const found: Element[] = []
  for (let at = 0; at < contents.length; ) {
    const element = elementAt(contents, at)
    found.push(element)
    at += element.encoded.length
  }
  return found
}

/** The value that the bytes are, all of them. */
export function onlyElement(der: Uint8Array): Element {
  const element = elementAt(Buffer.from(der.buffer, der.byteOffset, der.byteLength), 0)
  if (element.encoded.length !== der.byteLength) throw new Error('bytes behind a DER value')
  return element
}

function elementAt(der: Buffer, at: number): Element {
  const length = encodedLength(der, at)
  if (length === undefined || at + length > der.length) throw new Error('not a DER value')
  const first = der[at + 1] as number
  const header = first < 0x80 ? 2 : 2 + first - 0x80
  const encoded = der.subarray(at, at + length)
  return { tag: der[at] as number, contents: encoded.subarray(header), encoded }
}

/**
 * Bytes of the DER value that begins at `at`, tag and length included; `undefined` when its length is not written as DER
 * writes it. There may be fewer bytes than that.
 */
export function encodedLength(der: Uint8Array, at: number): number | undefined {
  const first = der[at + 1]
  if (first === undefined) return undefined
  if (first < 0x80) return 2 + first
  const octets = first - 0x80
  if (octets < 1 || octets > MAX_LENGTH_OCTETS) return undefined
  let length = 0
  for (let i = 0; i < octets; i++) {
    const octet = der[at + 2 + i]
    if (octet === undefined) return undefined
    length = length * 256 + octet
  }
  // DER has one spelling of a length.
  return length < 0x80 || length < 256 ** (octets - 1) ? undefined : 2 + octets + length
}
