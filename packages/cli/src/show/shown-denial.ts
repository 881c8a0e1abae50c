import { type KestDenial, KestError, parseDenial } from '@kest/core'
import type { Colors } from '../terminal/colors.js'
import { visible } from '../terminal/escape.js'
import { formatFields } from '../terminal/fields.js'
import { denialFields } from './denial-fields.js'

/** A denial as an evidence file has it, or why it cannot be read. Nothing of it is verified. */
export type ShownDenial = KestDenial | KestError

/** Denials of an evidence file, beside its passport (K-DENIAL). */
export function readDenials(file: unknown): ShownDenial[] {
  const denials = (file as { readonly denials?: unknown } | null)?.denials
  if (denials === undefined) return []
  if (!Array.isArray(denials)) return [new KestError('ERR_KEST_EVIDENCE', 'denials: expected an array')]
  return denials.map((jws) => {
    try {
      return parseDenial(jws).denial
    } catch (error) {
      if (error instanceof KestError) return error
      throw error
    }
  })
}

/** For a terminal: a denial after the other, apart from what has happened. */
export function denialsText(denials: readonly ShownDenial[], colors: Colors): string {
  if (denials.length === 0) return ''
  const count = denials.length === 1 ? '1 denial' : `${denials.length} denials`
  const blocks = denials.map((denial) => {
    const unreadable = denial instanceof KestError
    const title = unreadable ? colors.red('cannot be read') : colors.bold(visible(denial.operation))
    const fields = unreadable
      ? formatFields([['fault', visible(denial.message), denial.code]], colors)
      : formatFields(denialFields(denial), colors)
    return [
      `${colors.red('–')} ${title} ${colors.cyan('(refused)')}`,
      ...fields.map((line) => `    ${line}`),
      '',
    ]
  })
  const lines = blocks.flat().map((line) => `${line.trimEnd()}\n`)
  return `${count}, in no passport:\n\n${lines.join('')}`
}

export function denialJson(denial: ShownDenial): object {
  if (denial instanceof KestError) return { code: denial.code, message: denial.message }
  return { denial }
}
