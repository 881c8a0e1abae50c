import { ATTRIBUTE } from '@kest/core'
import { ClaimsReader, type ExportedSpan } from '../span/exported-span.js'
import type { SpanBatch } from './batch.js'

/** Entries without spans around them: nothing but what is signed. */
export function spansOfEntries(entries: Iterable<string>, place: ExportedSpan['place']): ExportedSpan[] {
  return spansOf(ATTRIBUTE.signature, entries, place)
}

function spansOf(attribute: string, signed: Iterable<string>, place: ExportedSpan['place']): ExportedSpan[] {
  return Array.from(signed, (jws) => {
    const reader = new ClaimsReader()
    reader.add(attribute, jws)
    return {
      name: '',
      traceId: null,
      spanId: null,
      service: null,
      claims: reader.claims,
      receivedAt: null,
      place,
    }
  })
}

/**
 * Entries that are in memory already: of a passport, say.
 * @param name as findings call where they come from
 * @param denials signed ones, beside them (K-DENIAL)
 */
export async function* readEntries(
  entries: Iterable<string>,
  name: string,
  denials: Iterable<string> = [],
): AsyncGenerator<SpanBatch> {
  const place = { file: name, line: null }
  const spans = [...spansOfEntries(entries, place), ...spansOf(ATTRIBUTE.denial, denials, place)]
  yield { spans, others: 0, findings: [], bytes: 0 }
}
