import { boundedName, type Claim, ClaimsReader, type ExportedSpan, hexId, isOfKest } from './exported-span.js'
import { assertMembers, assertObject, isObject, listOf, type Members } from './members.js'
import type { Origin, OtlpSpans } from './otlp-json.js'
import { Unreadable } from './unreadable.js'

/** Of the answer, and of a trace in it: one that is not known could hold spans that would go unread. */
const OF_ANSWER = ['data', 'total', 'limit', 'offset', 'errors']
const OF_TRACE = ['traceID', 'spans', 'processes', 'warnings']
/** Where Jaeger puts the instrumentation scope of OpenTelemetry, now and before. */
const SCOPE_TAGS = ['otel.scope.name', 'otel.library.name']

/**
 * Whether it is what Jaeger's own API answers, and its UI saves: `{"data": [{"traceID", "spans", "processes"}]}`; where something went wrong,
 * `{"data": null, "errors": [{"code", "msg"}]}`.
 */
export function isJaegerAnswer(value: unknown): value is Members {
  if (!isObject(value)) return false
  if (value['data'] === null) return 'errors' in value
  if (!Array.isArray(value['data'])) return false
  return value['data'].every((one) => isObject(one) && 'spans' in one)
}

/**
 * The spans of Kest in what `/api/traces` of Jaeger answers. Tags have types there; a process is the resource of OpenTelemetry.
 *
 * All of it is read, or nothing: what has another form could hold spans, and is not passed over.
 *
 * @throws {Unreadable} when it is not of that form, or the answer says that something went wrong
 */
export function readJaegerJson(answer: Members, origin: Origin): OtlpSpans {
  assertMembers(answer, OF_ANSWER, 'the answer of Jaeger')
  const errors = answer['errors'] ?? []
  if (!Array.isArray(errors) || errors.length > 0)
    throw new Unreadable(`Jaeger answers with errors${wordsOf(errors)}`)
  const spans: ExportedSpan[] = []
  const faults: string[] = []
  let others = 0
  for (const one of goList(answer, 'data')) {
    const trace = assertObject(one, 'a trace')
    assertMembers(trace, OF_TRACE, 'a trace in it')
    const services = servicesOf(trace['processes'])
    const warnings = trace['warnings'] ?? []
    if (!Array.isArray(warnings)) throw new Unreadable('its warnings are no list')
    if (warnings.length > 0) faults.push(`Jaeger warns of a trace in it${wordsOf(warnings)}`)
    for (const span of goList(trace, 'spans')) {
      const read = spanOf(assertObject(span, 'a span'), services, origin)
      if (read === null) others++
      else spans.push(read)
    }
  }
  return { spans, others, faults }
}

function servicesOf(processes: unknown): ReadonlyMap<string, string | null> {
  const all = Object.entries(assertObject(processes ?? {}, 'processes'))
  return new Map(
    all.map(([id, one]) => [id, boundedName(assertObject(one, 'a process')['serviceName'])] as const),
  )
}

/** @returns `null` for one that is not of Kest */
function spanOf(
  span: Members,
  services: ReadonlyMap<string, string | null>,
  { place, receivedAt }: Origin,
): ExportedSpan | null {
  const reader = new ClaimsReader()
  let scope: string | undefined
  for (const one of goList(span, 'tags')) {
    const { key, type, value } = assertObject(one, 'a tag')
    if (typeof key !== 'string') throw new Unreadable('a tag in it has no name')
    const claim = claimOf(type, value)
    reader.add(key, claim)
    if (SCOPE_TAGS.includes(key) && typeof claim === 'string') scope = claim
  }
  const { claims } = reader
  if (!isOfKest(scope, claims)) return null
  const { operationName, traceID, spanID, processID, process } = span
  const own = process === undefined || process === null ? undefined : assertObject(process, 'a process')
  return {
    name: boundedName(operationName) ?? '',
    traceId: idOf(traceID, 32),
    spanId: idOf(spanID, 16),
    service: own === undefined ? serviceOf(processID, services) : boundedName(own['serviceName']),
    claims,
    receivedAt,
    place,
  }
}

function serviceOf(id: unknown, services: ReadonlyMap<string, string | null>): string | null {
  return typeof id === 'string' ? (services.get(id) ?? null) : null
}

/** Integers that JSON has no numbers for are texts. */
function claimOf(type: unknown, value: unknown): Claim {
  if (type === 'bool') return typeof value === 'boolean' ? value : null
  if (type === 'int64' || type === 'float64') {
    if (typeof value === 'string' && /^-?\d{1,16}$/.test(value)) return Number(value)
    return typeof value === 'number' ? value : null
  }
  return type === 'string' && typeof value === 'string' ? value : null
}

/** Go writes an empty list as `null`, too. */
function goList(one: Members, name: string): readonly unknown[] {
  return one[name] === null ? [] : listOf(one, name)
}

/** Zeros at the beginning may be left out. */
function idOf(value: unknown, length: 16 | 32): string | null {
  return typeof value === 'string' && value.length > 0 ? hexId(value.padStart(length, '0'), length) : null
}

/** What is said in it, of which the first is told. Anybody may have written it: what is no text is not made one. */
function wordsOf(said: unknown): string {
  if (!Array.isArray(said)) return ''
  const first: unknown = isObject(said[0]) ? said[0]['msg'] : said[0]
  const words = typeof first === 'string' ? `: ${first.slice(0, 200)}` : ''
  return said.length > 1 ? `${words} (and ${said.length - 1} more)` : words
}
