import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type { OtlpProtocol } from './otlp-settings.js'

/** What a receiver of OTLP says of spans that it did not take though it answers with success. */
export interface PartialSuccess {
  readonly rejectedSpans: number
  readonly errorMessage: string
}

/** The codes of gRPC, of which 0 is no error. */
const MAX_CODE = 16

/**
 * Reads the body of an answer of success: in JSON or protobuf, whichever was asked for, as not every receiver answers in
 * kind. An empty body is a message without fields: all was taken.
 *
 * @throws for what is no `ExportTraceServiceResponse`, such as the page of a proxy
 */
export function parseOtlpResponse(body: Uint8Array): PartialSuccess {
  const json = parseObject(body)
  if (json === null) return parseProtobuf(body)
  const partial = (json['partialSuccess'] ?? {}) as { rejectedSpans?: unknown; errorMessage?: unknown }
  // In JSON a 64-bit integer is a string.
  return {
    rejectedSpans: countOf(Number(partial.rejectedSpans ?? 0)),
    errorMessage: String(partial.errorMessage ?? ''),
  }
}

/**
 * The message of a `google.rpc.Status`, as what a receiver of OTLP answers when it looked at the spans and does not take
 * them: in the form in which it was asked.
 *
 * @returns `null` for a body that is none, and so comes from somebody else on the way
 */
export function refusalIn(body: Uint8Array, protocol: OtlpProtocol): string | null {
  return protocol === 'http/json' ? jsonStatus(body) : protobufStatus(body)
}

function jsonStatus(body: Uint8Array): string | null {
  const json = parseObject(body)
  if (json === null || Object.keys(json).some((key) => !['code', 'message', 'details'].includes(key)))
    return null
  const { code = 0, message = '' } = json
  const isStatus = isCode(code) && typeof message === 'string' && (code > 0 || message !== '')
  return isStatus ? message : null
}

function protobufStatus(body: Uint8Array): string | null {
  try {
    const reader = new BinaryReader(body)
    let code = 0
    let message = ''
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag()
      if (field === 1 && type === WireType.Varint) code = reader.int32()
      else if (field === 2 && type === WireType.LengthDelimited) message = textIn(reader.bytes())
      else if (field === 3 && type === WireType.LengthDelimited) reader.bytes()
      else return null
    }
    return isCode(code) && (code > 0 || message !== '') ? message : null
  } catch {
    return null
  }
}

function parseProtobuf(body: Uint8Array): PartialSuccess {
  const reader = new BinaryReader(body)
  let partial: PartialSuccess = { rejectedSpans: 0, errorMessage: '' }
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    // The one field there is: what else begins a message is rather a text.
    if (field !== 1 || type !== WireType.LengthDelimited) throw new TypeError('neither JSON nor protobuf')
    partial = partialIn(reader.bytes())
  }
  return partial
}

function partialIn(body: Uint8Array): PartialSuccess {
  const reader = new BinaryReader(body)
  let rejectedSpans = 0
  let errorMessage = ''
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === 1 && type === WireType.Varint) rejectedSpans = Number(reader.int64())
    else if (field === 2 && type === WireType.LengthDelimited) errorMessage = textIn(reader.bytes())
    else reader.skip(type)
  }
  return { rejectedSpans: countOf(rejectedSpans), errorMessage }
}

function countOf(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError('rejectedSpans: expected a count')
  return value
}

function isCode(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_CODE
}

function parseObject(body: Uint8Array): Record<string, unknown> | null {
  try {
    const json: unknown = JSON.parse(textIn(body))
    return typeof json === 'object' && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

function textIn(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}
