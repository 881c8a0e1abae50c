import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const SERVICE = fileURLToPath(new URL('fixtures/losing-service.mjs', import.meta.url))

it('K-AUDIT losses that were not told yet are told when the process exits', () => {
  const { stderr } = spawnSync(process.execPath, [SERVICE], { encoding: 'utf8', timeout: 120_000 })
  const lines = stderr.trim().split('\n')
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { message: 'audit spans were lost', lost: { overflow: 1 }, lost_in_all: 1 },
    { message: 'audit spans were lost', lost: { overflow: 47 }, lost_in_all: 48 },
  ])
})
