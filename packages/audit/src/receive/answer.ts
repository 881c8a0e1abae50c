import type { ServerResponse } from 'node:http'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { Refusal } from './refusal.js'

/** How a request was written, and so how it is answered (OTLP/HTTP). */
export type OtlpEncoding = 'json' | 'protobuf'

const CONTENT_TYPES: Readonly<Record<OtlpEncoding, string>> = {
  json: 'application/json',
  protobuf: 'application/x-protobuf',
}
/** Seconds after which a sender may try again. */
const RETRY_AFTER = 1

/** The encoding that a `content-type` names; `undefined` for another. */
export function encodingOf(contentType: string | undefined): OtlpEncoding | undefined {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  if (type === CONTENT_TYPES.json) return 'json'
  return type === CONTENT_TYPES.protobuf ? 'protobuf' : undefined
}

/** An empty ExportTraceServiceResponse: all of it was taken. */
export function answerTaken(response: ServerResponse, encoding: OtlpEncoding): void {
  response.writeHead(200, { 'content-type': CONTENT_TYPES[encoding] })
  response.end(encoding === 'json' ? '{}' : undefined)
}

/** A google.rpc.Status that says why not. What of the request was not read is not waited for. */
export function answerRefused(
  response: ServerResponse,
  encoding: OtlpEncoding,
  { status, message }: Refusal,
): void {
  response.writeHead(status, {
    'content-type': CONTENT_TYPES[encoding],
    connection: 'close',
    ...(status === 503 ? { 'retry-after': String(RETRY_AFTER) } : {}),
    ...(status === 405 ? { allow: 'POST' } : {}),
  })
  response.end(encoding === 'json' ? JSON.stringify({ message }) : statusMessage(message))
}

function statusMessage(message: string): Uint8Array {
  return new BinaryWriter().tag(2, WireType.LengthDelimited).string(message).finish()
}
