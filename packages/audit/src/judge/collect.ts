import { KestError, LABEL, type Limits, type ParsedEntry, parseEntry } from '@kest/core'
import type { ExportedSpan } from '../span/exported-span.js'

/** An entry of a trace, and the spans that it came in. */
export interface Node {
  readonly parsed: ParsedEntry
  /** Empty for one that only a passport, or another trace, has. */
  readonly spans: ExportedSpan[]
  /** `span`: it was exported. `passport`: only the `kest.passport` of another has it. `foreign`: another trace has it. */
  source: 'span' | 'passport' | 'foreign'
}

/** Whether it is an entry of the trace itself: a passport may have entries of others. */
export function isOfTrace(traceId: string | null, { parsed, source }: Node): boolean {
  return source === 'span' || (parsed.entry.labels[LABEL.traceId] ?? null) === traceId
}

/** A span whose `kest.signature` is no entry. */
export interface MalformedSpan {
  readonly span: ExportedSpan
  readonly error: KestError
}

/** The spans of a trace, by what they are. Nothing is verified yet. */
export interface Collected {
  /** By compact string: an entry that was exported twice is there once. */
  readonly nodes: Map<string, Node>
  readonly malformed: MalformedSpan[]
  /** They tell of an authorization, and have no entry. */
  readonly unsigned: ExportedSpan[]
  /** They tell of a denial. No evidence of anything (K-AUDIT). */
  readonly denials: ExportedSpan[]
}

export function collect(spans: readonly ExportedSpan[], limits: Limits): Collected {
  const collected: Collected = { nodes: new Map(), malformed: [], unsigned: [], denials: [] }
  for (const span of spans) {
    const { signature } = span.claims
    if (signature === undefined) collected[isDenial(span) ? 'denials' : 'unsigned'].push(span)
    else if (typeof signature === 'string') addEntry(collected, signature, span, limits)
    else collected.malformed.push({ span, error: NO_TEXT })
  }
  return collected
}

/** What was denied has no entry, and so neither a hash nor a passport: a span with these was one of an entry. */
function isDenial({ claims: { decision, chainTip, passport } }: ExportedSpan): boolean {
  return decision === 'deny' && chainTip === undefined && passport === undefined
}

const NO_TEXT = new KestError(
  'ERR_KEST_ENTRY_MALFORMED',
  'it is not a JWS compact string, is there twice, or is longer than any entry',
)

function addEntry(collected: Collected, jws: string, span: ExportedSpan, limits: Limits): void {
  const known = collected.nodes.get(jws)
  if (known !== undefined) {
    known.spans.push(span)
    return
  }
  const parsed = tryParse(jws, limits)
  if (parsed instanceof KestError) collected.malformed.push({ span, error: parsed })
  else collected.nodes.set(jws, { parsed, spans: [span], source: 'span' })
}

export function tryParse(jws: string, limits: Limits): ParsedEntry | KestError {
  try {
    return parseEntry(jws, { limits })
  } catch (error) {
    if (error instanceof KestError) return error
    throw error
  }
}
