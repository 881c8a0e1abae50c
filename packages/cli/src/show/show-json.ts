import { KestError } from '@kest/core'
import { jsonLine } from '../terminal/escape.js'
import { denialJson, type ShownDenial } from './shown-denial.js'
import type { ShownEntry } from './shown-entry.js'

/** The whole passport, and denials beside it, as one JSON object on one line. */
export function showJson(
  file: string,
  entries: readonly ShownEntry[],
  denials: readonly ShownDenial[],
): string {
  const tips = entries.filter(({ tip }) => tip).map(({ hash }) => hash)
  return jsonLine({
    file,
    verified: false,
    tips,
    entries: entries.map(entryJson),
    ...(denials.length === 0 ? {} : { denials: denials.map(denialJson) }),
  })
}

function entryJson({ index, hash, content }: ShownEntry): Record<string, unknown> {
  if (content instanceof KestError) return { index, hash, code: content.code, message: content.message }
  return { index, hash, header: content.header, entry: content.entry }
}
