import {
  boundedName,
  type Claim,
  ClaimsReader,
  type ExportedSpan,
  hexId,
  isOfKest,
  type Place,
} from './exported-span.js'

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
}

type Members = Readonly<Record<string, unknown>>

/**
 * The spans of Kest in one OTLP/JSON export: `{"resourceSpans": …}`, a line of the Collector's file exporter.
 *
 * @param value what JSON made of it
 * @returns `undefined` when it is not of that form
 */
export function readOtlpJson(value: unknown, origin: Origin): OtlpSpans | undefined {
  if (!isObject(value) || !Array.isArray(value['resourceSpans'])) return undefined
  const spans: ExportedSpan[] = []
  let others = 0
  for (const resourceSpans of value['resourceSpans'] as unknown[]) {
    if (!isObject(resourceSpans)) return undefined
    const service = serviceOf(resourceSpans['resource'])
    const listed = listOf(resourceSpans['scopeSpans'])
    if (listed === undefined) return undefined
    for (const scopeSpans of listed) {
      if (!isObject(scopeSpans)) return undefined
      const scope = isObject(scopeSpans['scope']) ? scopeSpans['scope']['name'] : undefined
      const spansOfScope = listOf(scopeSpans['spans'])
      if (spansOfScope === undefined) return undefined
      for (const span of spansOfScope) {
        if (!isObject(span)) return undefined
        const read = spanOf(span, scope, service, origin)
        if (read === undefined) return undefined
        if (read === null) others++
        else spans.push(read)
      }
    }
  }
  return { spans, others }
}

/** @returns `null` for one that is not of Kest, `undefined` for what is no span */
function spanOf(
  span: Members,
  scope: unknown,
  service: string | null,
  { place, receivedAt }: Origin,
): ExportedSpan | null | undefined {
  const reader = new ClaimsReader()
  const attributes = listOf(span['attributes'])
  if (attributes === undefined) return undefined
  for (const attribute of attributes) {
    if (isObject(attribute)) reader.add(attribute['key'], claimOf(attribute['value']))
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

function serviceOf(resource: unknown): string | null {
  if (!isObject(resource)) return null
  for (const attribute of listOf(resource['attributes']) ?? []) {
    if (isObject(attribute) && attribute['key'] === 'service.name')
      return boundedName(claimOf(attribute['value']))
  }
  return null
}

/** OTLP's AnyValue. Integers of 64 bits are text in JSON. */
function claimOf(value: unknown): Claim {
  if (!isObject(value)) return null
  const { stringValue, intValue, doubleValue, boolValue } = value
  if (typeof stringValue === 'string') return stringValue
  if (typeof boolValue === 'boolean') return boolValue
  const number =
    typeof intValue === 'string' && /^-?\d{1,16}$/.test(intValue)
      ? Number(intValue)
      : (intValue ?? doubleValue)
  return typeof number === 'number' ? number : null
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What is left out is empty; what is something else is no export, rather than nothing. */
function listOf(value: unknown): readonly unknown[] | undefined {
  if (value === undefined || value === null) return []
  return Array.isArray(value) ? value : undefined
}
