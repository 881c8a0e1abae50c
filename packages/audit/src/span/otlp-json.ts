import {
  boundedName,
  type Claim,
  ClaimsReader,
  type ExportedSpan,
  hexId,
  isOfKest,
  type Place,
} from './exported-span.js'
import { assertMembers, assertObject, isObject, listOf, type Members } from './members.js'
import { Unreadable } from './unreadable.js'

/** Where a batch was read, and when a witness got it. */
export interface Origin {
  readonly place: Place
  readonly receivedAt: number | null
}

/** What one batch amounts to. */
export interface OtlpSpans {
  readonly spans: readonly ExportedSpan[]
  /** Spans that are not of Kest. */
  readonly others: number
  /** What whoever answered says that is missing. */
  readonly faults?: readonly string[]
}

/**
 * The members of an export, down to its spans, by the names that they have or had: one that is not known could hold spans that
 * would go unread. (Of a span itself it is passed over, as OTLP has it.)
 */
const EXPORT = ['resourceSpans', 'batches']
const RESOURCE = ['scopeSpans', 'instrumentationLibrarySpans']
const BESIDE_RESOURCE = ['resource', 'schemaUrl']
const SCOPE = ['scope', 'instrumentationLibrary']
const BESIDE_SPANS = ['spans', 'schemaUrl']
/** What Tempo and Jaeger answer with has an export in it, and tells of the answer beside. */
const AROUND_EXPORT = ['trace', 'result']
const OF_ANSWER = ['metrics', 'status', 'message']
const COMPLETE: readonly unknown[] = [0, 'COMPLETE']

/**
 * The spans of Kest in one OTLP/JSON export: `{"resourceSpans": …}`, a line of the Collector's file exporter. Tempo's name for the
 * list, `batches`, and the older ones within it are read alike.
 *
 * All of it is read, or nothing: what has another form could hold spans, and is not passed over.
 *
 * @param value what JSON made of it
 * @throws {Unreadable} when it is not of that form
 */
export function readOtlpJson(value: unknown, origin: Origin): OtlpSpans {
  const spans: ExportedSpan[] = []
  let others = 0
  const whole = assertObject(value, 'an export of OTLP')
  assertMembers(whole, EXPORT, 'the export')
  if (!EXPORT.some((name) => name in whole)) throw new Unreadable('it is not an export of OTLP')
  for (const resourceSpans of listsOf(whole, EXPORT)) {
    const ofResource = assertObject(resourceSpans, 'spans of a resource')
    assertMembers(ofResource, [...RESOURCE, ...BESIDE_RESOURCE], 'what it has of a resource')
    const service = serviceOf(ofResource['resource'])
    for (const scopeSpans of listsOf(ofResource, RESOURCE)) {
      const ofScope = assertObject(scopeSpans, 'spans of a scope')
      assertMembers(ofScope, [...SCOPE, ...BESIDE_SPANS], 'what it has of a scope')
      const scope = scopeOf(ofScope)
      for (const span of listOf(ofScope, 'spans')) {
        const read = spanOf(assertObject(span, 'a span'), scope, service, origin)
        if (read === null) others++
        else spans.push(read)
      }
    }
  }
  return { spans, others }
}

/**
 * The export that a server's answer has in it, or what it is itself; and what the server says that is missing.
 *
 * @throws {Unreadable} when there is only an error in it: `{"error": {"httpCode", "message"}}` is what Jaeger's `/api/v3` answers then
 */
export function exportIn(value: unknown): { readonly export: unknown; readonly faults: readonly string[] } {
  if (isObject(value) && isObject(value['error']) && Object.keys(value).length === 1) {
    const { message } = value['error']
    throw new Unreadable(
      `Jaeger answers with an error${typeof message === 'string' ? `: ${message.slice(0, 200)}` : ''}`,
    )
  }
  if (!isObject(value) || EXPORT.some((name) => name in value)) return { export: value, faults: [] }
  const [around, ...others] = Object.keys(value).filter((name) => !OF_ANSWER.includes(name))
  if (around === undefined || others.length > 0 || !AROUND_EXPORT.includes(around))
    return { export: value, faults: [] }
  return { export: value[around], faults: partOf(value['status'], value['message']) }
}

/** Of Tempo, that it could not find or send all of a trace. */
export function partOf(status: unknown, message: unknown): readonly string[] {
  if (status === undefined || COMPLETE.includes(status)) return []
  const why = typeof message === 'string' && message !== '' ? `: ${message.slice(0, 200)}` : ''
  return [`Tempo answers with a part of a trace alone${why}`]
}

/** Whether it is an export of something else than spans. */
export function isOtherSignal(value: unknown): boolean {
  if (!isObject(value)) return false
  const names = Object.keys(value)
  return names.length === 1 && /^resource(?:Logs|Metrics|Profiles)$/.test(names[0] as string)
}

/** @returns `null` for one that is not of Kest */
function spanOf(
  span: Members,
  scope: string | undefined,
  service: string | null,
  { place, receivedAt }: Origin,
): ExportedSpan | null {
  const reader = new ClaimsReader()
  for (const attribute of listOf(span, 'attributes')) {
    const { key, value } = assertObject(attribute, 'an attribute')
    if (typeof key !== 'string') throw new Unreadable('an attribute in it has no name')
    reader.add(key, claimOf(value))
  }
  const { claims } = reader
  if (!isOfKest(scope, claims)) return null
  return {
    name: boundedName(span['name']) ?? '',
    traceId: hexId(span['traceId'], 32),
    spanId: hexId(span['spanId'], 16),
    service,
    claims,
    receivedAt,
    place,
  }
}

/** A scope decides whether a span without a signature is for the auditor. */
function scopeOf(scopeSpans: Members): string | undefined {
  const [scope, another] = SCOPE.filter((name) => name in scopeSpans)
  if (another !== undefined) throw new Unreadable('spans in it have two scopes')
  if (scope === undefined) return undefined
  const { name } = assertObject(scopeSpans[scope], 'a scope')
  if (name === undefined || typeof name === 'string') return name
  throw new Unreadable("a scope's name in it is no text")
}

function serviceOf(resource: unknown): string | null {
  if (resource === undefined) return null
  for (const attribute of listOf(assertObject(resource, 'a resource'), 'attributes')) {
    const { key, value } = assertObject(attribute, 'an attribute')
    if (key === 'service.name') return boundedName(claimOf(value))
  }
  return null
}

/** OTLP's AnyValue. Integers of 64 bits are text in JSON. */
function claimOf(value: unknown): Claim {
  if (!isObject(value) || Object.keys(value).length !== 1) return null
  const { stringValue, intValue, doubleValue, boolValue } = value
  if (typeof stringValue === 'string') return stringValue
  if (typeof boolValue === 'boolean') return boolValue
  const number =
    typeof intValue === 'string' && /^-?\d{1,16}$/.test(intValue)
      ? Number(intValue)
      : (intValue ?? doubleValue)
  return typeof number === 'number' ? number : null
}

function* listsOf(one: Members, names: readonly string[]): Generator<unknown> {
  for (const name of names) yield* listOf(one, name)
}
