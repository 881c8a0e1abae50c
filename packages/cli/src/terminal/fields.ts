import { type Colors, createColors } from './colors.js'

/** A label, and the lines beside it, safe to show. */
export type Field = readonly [label: string, ...lines: string[]]

const LABEL_WIDTH = 12

/** Lines of labels and values in two columns. */
export function formatFields(fields: readonly Field[], colors: Colors = createColors(false)): string[] {
  return fields.flatMap(([label, ...lines]) =>
    lines.map((line, i) => `${colors.dim((i === 0 ? label : '').padEnd(LABEL_WIDTH))}${line}`),
  )
}
