import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const PROGRAM = fileURLToPath(new URL('support/parallel-operations.mjs', import.meta.url))

it('K-FLOW begins many operations of one request in parallel without a warning of the process', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [PROGRAM], { encoding: 'utf8' })
  expect([status, stdout, stderr]).toEqual([0, '50 begun, 0 listeners left\n', ''])
})
