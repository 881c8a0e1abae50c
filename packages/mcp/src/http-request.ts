import {
  boundMethods,
  currentState,
  type InboundHeaders,
  type KestState,
  standIn,
  takeLineageOut,
} from '@kest/core'
import { isRecord, type MessageExtra } from './message.js'

/** The HTTP request that a message came in. */
export interface HttpRequest {
  /** A copy, names in lower case. */
  readonly headers: InboundHeaders
  readonly url: string | undefined
}

const BODY = ['json', 'text', 'arrayBuffer', 'blob', 'bytes', 'formData', 'clone'] as const

/** What lines 1 (`requestInfo`) and 2 (`request`) of the SDK say of it; `null` where there is none. */
export function httpRequestOf(extra: MessageExtra | undefined): HttpRequest | null {
  const told = extra?.['request'] ?? extra?.['requestInfo']
  if (typeof told !== 'object' || told === null || !('headers' in told)) return null
  const url =
    'url' in told && told.url !== undefined ? new URL(String(told.url), 'http://localhost') : undefined
  return { headers: recordOf(told.headers), url: url && url.pathname + url.search }
}

/**
 * The state of the request over HTTP, where an adapter has judged that (K-CARRIER). What else is ambient is of whoever has opened the
 * connection, or calls within this process.
 */
export function judgedState(extra: MessageExtra | undefined): KestState | null {
  const ambient = httpRequestOf(extra) === null ? null : currentState()
  return ambient?.request === undefined ? null : ambient
}

/** The same for a handler, which would hand lineage on to whomever it calls. */
export function withoutLineage(extra: MessageExtra | undefined): MessageExtra | undefined {
  if (extra === undefined) return extra
  const { request, requestInfo } = extra
  const own: Record<string, unknown> = {}
  if (request instanceof Object && 'headers' in request) {
    const headers = new Headers(request.headers as Headers)
    if (takeOut(headers) > 0) own['request'] = standIn(request, { ...boundMethods(request, BODY), headers })
  }
  if (isRecord(requestInfo)) {
    const headers = recordOf(requestInfo['headers'])
    if (takeLineageOut(headers) > 0) own['requestInfo'] = { ...requestInfo, headers }
  }
  return Object.keys(own).length === 0 ? extra : { ...extra, ...own }
}

function takeOut(headers: Headers): number {
  const record: InboundHeaders = { baggage: headers.get('baggage') ?? undefined }
  const taken = takeLineageOut(record)
  if (record['baggage'] === undefined) headers.delete('baggage')
  else headers.set('baggage', String(record['baggage']))
  return taken
}

function recordOf(headers: unknown): InboundHeaders {
  const pairs = headers instanceof Headers ? [...headers] : Object.entries(isRecord(headers) ? headers : {})
  return Object.fromEntries(
    pairs.map(([name, value]) => [name.toLowerCase(), value as string | string[] | undefined]),
  )
}
