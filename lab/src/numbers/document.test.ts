import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { configurationFile } from '../files.js'
import { fillIn } from './document.js'

const folder = mkdtempSync(join(tmpdir(), 'kest-document-'))
afterAll(() => rmSync(folder, { recursive: true }))

it('replaces what is between the marks, and nothing else', () => {
  const file = join(folder, 'page.md')
  writeFileSync(file, 'before\n<!-- a -->\nold\n<!-- /a -->\nbetween\n<!-- b -->\n<!-- /b -->\nafter\n')
  fillIn(file, { a: 'new', b: 'B' })
  const filled = 'before\n<!-- a -->\nnew\n<!-- /a -->\nbetween\n<!-- b -->\nB\n<!-- /b -->\nafter\n'
  expect(readFileSync(file, 'utf8')).toBe(filled)
  fillIn(file, { a: 'new', b: 'B' })
  expect(readFileSync(file, 'utf8')).toBe(filled)
})

it('refuses a document without the place, and leaves it as it is', () => {
  const file = join(folder, 'other.md')
  writeFileSync(file, '<!-- /a -->\n<!-- a -->\n')
  expect(() => fillIn(file, { a: 'new' })).toThrow('there is no place for a')
  expect(readFileSync(file, 'utf8')).toBe('<!-- /a -->\n<!-- a -->\n')
})

it('has its places in docs/performance.md', () => {
  const text = readFileSync(configurationFile('../docs/performance.md'), 'utf8')
  for (const name of ['machine', 'chain', 'nodes', 'shares', 'length'])
    expect(text).toMatch(new RegExp(`<!-- ${name} -->[^]*<!-- /${name} -->`))
})
