import { type IExportTraceServiceResponse, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'

/** `partial_success`, length-delimited: the one field there is, and what else begins a message is rather a text. */
const PARTIAL_SUCCESS_TAG = 0x0a

/**
 * Reads the body of an answer of success: in JSON or protobuf, whichever was asked for, as not every receiver answers in
 * kind. An empty body is a message without fields.
 *
 * @throws for what is no `ExportTraceServiceResponse`, such as the page of a proxy
 */
export function parseOtlpResponse(body: Uint8Array): IExportTraceServiceResponse {
  const json = parseJson(Buffer.from(body).toString())
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json
  if (body.length > 0 && body[0] !== PARTIAL_SUCCESS_TAG) throw new TypeError('neither JSON nor protobuf')
  return ProtobufTraceSerializer.deserializeResponse(body)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
