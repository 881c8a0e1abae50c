import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

it('100,000 decisions hold on to no memory, and the process lives through their deoptimizations', async () => {
  const program = fileURLToPath(new URL('many-decisions.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program])
  const { early, late, ...stats } = JSON.parse(stdout)
  expect(stats).toEqual({ decisions: 1_000, hits: 0, misses: 100_000, joined: 0 })
  // Forty bytes for each decision would be over it.
  expect(late - early).toBeLessThan(3_600_000)
})
