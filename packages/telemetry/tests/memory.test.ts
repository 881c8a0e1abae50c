import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const FULL_QUEUE = fileURLToPath(new URL('fixtures/full-queue.mjs', import.meta.url))

it('a full queue of ordinary spans is some 3,000, and runs in a heap of 128 MB', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--max-old-space-size=128', FULL_QUEUE], {
    encoding: 'utf8',
  })
  expect([status, stderr]).toEqual([0, ''])
  const { accepted, dropped } = JSON.parse(stdout)
  expect(accepted).toBeGreaterThan(2_500)
  expect(accepted + dropped.overflow).toBe(10_000)
})
