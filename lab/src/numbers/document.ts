import { readFileSync, writeFileSync } from 'node:fs'

/**
 * Puts what was measured where a document wants it: between `<!-- NAME -->` and `<!-- /NAME -->`.
 * @throws {Error} when the document has no such place
 */
export function fillIn(file: string, parts: Readonly<Record<string, string>>): void {
  let text = readFileSync(file, 'utf8')
  for (const [name, part] of Object.entries(parts)) {
    const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
    const from = text.indexOf(start)
    const to = text.indexOf(end)
    if (from < 0 || to < from) throw new Error(`${file}: there is no place for ${name}`)
    text = `${text.slice(0, from + start.length)}\n${part}\n${text.slice(to)}`
  }
  writeFileSync(file, text)
}
