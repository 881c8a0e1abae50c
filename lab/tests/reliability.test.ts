import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { FAULTS, tablesOf } from '../live/faults/table.js'

const DOCUMENT = fileURLToPath(new URL('../../docs/reliability.md', import.meta.url))
const PLACE = /(?<=<!-- faults -->\n)[\s\S]*(?=<!-- \/faults -->)/

/** `RELIABILITY=write` writes it. */
it('docs/reliability.md has every fault that is tried, and what comes of it', () => {
  const text = readFileSync(DOCUMENT, 'utf8')
  const expected = text.replace(PLACE, () => tablesOf(FAULTS))
  if (process.env['RELIABILITY'] === 'write') writeFileSync(DOCUMENT, expected)
  else expect(text).toBe(expected)
})
