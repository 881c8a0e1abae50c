import { ATTRIBUTE } from '@kest/core'
import { ClaimsReader, type ExportedSpan } from '../span/exported-span.js'
import type { SpanBatch } from './batch.js'

/** Entries without spans around them: nothing but what is signed. */
export function spansOfEntries(entries: Iterable<string>, place: ExportedSpan['place']): ExportedSpan[] {
  return Array.from(entries, (signature) => {
    const reader = new ClaimsReader()
    reader.add(ATTRIBUTE.signature, signature)
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
 */
export async function* readEntries(entries: Iterable<string>, name: string): AsyncGenerator<SpanBatch> {
  const spans = spansOfEntries(entries, { file: name, line: null })
  yield { spans, others: 0, findings: [], bytes: 0 }
}
