import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { MEMORY_LINE, memorySamples, trendOf } from './memory.js'

const folder = mkdtempSync(join(tmpdir(), 'kest-memory-'))
afterAll(() => rmSync(folder, { recursive: true }))

it('reads what a service has said since a moment, and nothing else', () => {
  const log = join(folder, 'log')
  const sample = (at: number) => `${MEMORY_LINE}${JSON.stringify({ at, rss: 2e6 * at, heap: 1e6 * at })}`
  writeFileSync(log, [sample(1), '{"level":"warn"}', ...[2, 3, 4, 5, 6, 7, 8, 9].map(sample), ''].join('\n'))
  const samples = memorySamples(log, 2)
  expect(samples.map(({ at }) => at)).toEqual([2, 3, 4, 5, 6, 7, 8, 9])
  expect(trendOf(samples)).toEqual({ heap: [2.5, 8.5], rss: [5, 17] })
})

it('sees no trend in fewer than four samples', () => {
  expect(() => trendOf([])).toThrow('0 samples')
})
