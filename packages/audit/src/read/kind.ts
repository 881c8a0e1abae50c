/** Bytes of a beginning that say what it is. */
export const SNIFFED_BYTES = 512

/** What an input is, as its beginning says. */
export type Kind =
  /** Lines: of exports, of entries, or of something else. */
  | { readonly is: 'lines'; readonly ours: boolean }
  /** One JSON text over several lines. */
  | { readonly is: 'document' }
  /** One message of protobuf: what Tempo answers. */
  | { readonly is: 'protobuf' }
  /** Messages, each after its length, as the Collector's file exporter writes protobuf, and what it compresses. */
  | { readonly is: 'messages' }
  | { readonly is: 'gzip' | 'zstd' | 'sqlite' }
  /** Something that is known, and cannot be read here. */
  | { readonly is: 'other'; readonly why: string }

/** By the program that takes it apart: `xz -dc FILE | kest audit -`. */
const OTHERS: readonly (readonly [magic: string, at: number, why: string])[] = [
  ['\xfd7zXZ\0', 0, compressed('xz')],
  ['BZh', 0, compressed('bzip2')],
  ['\x04\x22\x4d\x18', 0, compressed('lz4')],
  ['\x1f\x9d', 0, compressed('gzip')],
  ['\xff\x06\0\0sNaPpY', 0, 'it is compressed by snappy, which is not read'],
  ['PK\x03\x04', 0, 'it is a ZIP archive: unpack it first'],
  ['7z\xbc\xaf\x27\x1c', 0, 'it is a 7z archive: unpack it first'],
  ['ustar', 257, 'it is a tar archive: unpack it first'],
  ['\xff\xfe', 0, 'it is UTF-16, and UTF-8 is expected'],
  ['\xfe\xff', 0, 'it is UTF-16, and UTF-8 is expected'],
  ['PAR1', 0, 'it is a Parquet file, which is not read'],
]
const ZSTD = '\x28\xb5\x2f\xfd'
const ZSTD_SKIPPABLE = '\x2a\x4d\x18'
/** An export, whatever it calls its spans, or an entry, or a list of entries; perhaps after a byte order mark. */
const OURS = /^(?:\xef\xbb\xbf)?\s*(?:\{\s*"(?:resourceSpans|batches)"|ey|\[\s*"ey)/
/** Brackets that the first line does not close. */
const DOCUMENT = /^(?:\xef\xbb\xbf)?\s*[[{][\s[{]*\n/

/**
 * @param beginning at most the first {@link SNIFFED_BYTES}
 * @param maxBytes of a message: one that says that it is longer is none
 */
export function kindOf(beginning: Buffer, maxBytes: number): Kind {
  const text = beginning.toString('latin1')
  if (text.startsWith('SQLite format 3\0')) return { is: 'sqlite' }
  if (text.startsWith('\x1f\x8b')) return { is: 'gzip' }
  if (text.startsWith(ZSTD) || isSkippable(text)) return { is: 'zstd' }
  for (const [magic, at, why] of OTHERS) if (text.startsWith(magic, at)) return { is: 'other', why }
  if (isMessage(beginning, text, maxBytes)) return { is: 'messages' }
  if (DOCUMENT.test(text)) return { is: 'document' }
  if (isProtobuf(beginning)) return { is: 'protobuf' }
  return { is: 'lines', ours: beginning.length === 0 || OURS.test(text) }
}

/** A frame of zstd that has nothing to uncompress may come first. */
function isSkippable(text: string): boolean {
  return /^[P-_]/.test(text) && text.startsWith(ZSTD_SKIPPABLE, 1)
}

/** A length, and what protobuf, zstd or JSON begin with. A text begins with more than a length may be. */
function isMessage(beginning: Buffer, text: string, maxBytes: number): boolean {
  if (beginning.length < 5) return false
  const length = beginning.readUInt32BE()
  return length > 0 && length <= maxBytes && ['\n', '{', ZSTD].some((start) => text.startsWith(start, 4))
}

/** Fields of the messages that are within each other down to the key of an attribute, whose lengths can be such. A text has no such beginning. */
const FIRST_FIELDS = [0x0a, 0x12]

/** Spans of a resource, or a trace, whose first field is a message that begins with one that fits into it, three times. */
function isProtobuf(beginning: Buffer): boolean {
  let [at, within] = [0, Number.MAX_SAFE_INTEGER]
  for (let depth = 0; depth < 4; depth++) {
    if (!FIRST_FIELDS.includes(beginning[at] ?? 0)) return false
    const [length, next] = varintAt(beginning, at + 1)
    if (length === null || length < 2 || length + (next - at) > within) return false
    ;[at, within] = [next, length]
  }
  return true
}

function varintAt(bytes: Buffer, from: number): readonly [value: number | null, next: number] {
  let value = 0
  for (let at = from; at < from + 5; at++) {
    const byte = bytes[at]
    if (byte === undefined) return [null, at]
    value += (byte & 0x7f) * 2 ** (7 * (at - from))
    if (byte < 0x80) return [value, at + 1]
  }
  return [null, from]
}

function compressed(by: string): string {
  return `it is compressed by ${by}, which is not read here: \`${by} -dc FILE | kest audit -\``
}
