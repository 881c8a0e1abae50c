import { types } from 'node:util'
import { finding } from '../finding.js'
import { type Place, placeText } from '../span/exported-span.js'
import { readOtlpJson } from '../span/otlp-json.js'
import { decodeOtlpProtobuf } from '../span/otlp-protobuf.js'
import { TooManyParts } from '../span/parts.js'
import { Unreadable } from '../span/unreadable.js'
import { faultBatch, type SpanBatch } from './batch.js'
import type { ByteReader } from './byte-reader.js'
import { OTHER_SIGNAL, readExportText } from './export-text.js'
import { batchIn } from './faults.js'
import { Growth, TooLarge } from './growth.js'
import { unzstd } from './zstd.js'

const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])
const OPEN_OBJECT = 0x7b

/**
 * Exports, each after its length in four bytes, as the Collector's file exporter writes protobuf, and whatever it compresses: message by
 * message. One that cannot be read ends it, for nobody knows where the next one begins.
 *
 * @param maxBytes of a message, before and after it is uncompressed
 */
export async function* readMessages(
  reader: ByteReader,
  file: string,
  maxBytes: number,
): AsyncGenerator<SpanBatch | typeof OTHER_SIGNAL> {
  const growth = new Growth()
  for (let number = 1; ; number++) {
    const place = { file, line: number }
    const head = reader.ready(4) ?? (await reader.take(4))
    if (head.length === 0) return
    const length = head.length < 4 ? 0 : head.readUInt32BE()
    if (length > maxBytes) {
      const why = `a message of ${length} bytes, which is more than is read, and what comes after it`
      yield faultBatch(finding('limit', why, { place: placeText(place) }), length)
      return
    }
    const message = reader.ready(length) ?? (await reader.take(length))
    if (head.length < 4 || message.length < length) {
      // Its writer was killed, or its length is wrong, and it is whole, and several: which, nobody can tell.
      const why = `the rest of it is shorter than a message that begins there, of ${length} bytes`
      yield faultBatch(finding('unreadable', why, { place: placeText(place) }), head.length + message.length)
      return
    }
    try {
      growth.took(length)
      const compressed = message.subarray(0, ZSTD.length).equals(ZSTD)
      const read = readMessage(compressed ? await uncompressed(message, growth, maxBytes) : message, place)
      if (read === OTHER_SIGNAL) yield read
      else if (read.spans.length + read.others + (read.faults?.length ?? 0) > 0)
        yield batchIn(read, place, 4 + length)
    } catch (error) {
      if (!types.isNativeError(error)) throw error
      const tooLarge = error instanceof TooManyParts || error instanceof TooLarge
      const why = `it cannot be read, nor what comes after it: ${error.message}`
      yield faultBatch(
        finding(tooLarge ? 'limit' : 'unreadable', why, { place: placeText(place) }),
        4 + length,
      )
      return
    }
  }
}

async function uncompressed(message: Buffer, growth: Growth, maxBytes: number): Promise<Buffer> {
  const made = await unzstd(message, Math.max(1, Math.min(maxBytes, growth.left)))
  growth.made(made.length)
  return made
}

function readMessage(message: Buffer, place: Place): ReturnType<typeof readExportText> {
  if (message.length === 0) throw new Unreadable('it is empty')
  if (message[0] === OPEN_OBJECT) return readExportText(message, place)
  return readOtlpJson(decodeOtlpProtobuf(message), { place, receivedAt: null })
}
