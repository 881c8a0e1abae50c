import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const MAIN = fileURLToPath(new URL('../../dist/fleet/main.js', import.meta.url))

it.each([
  ['an option that there is not', ['--trace', '5'], 'npm run bench:fleet'],
  ['a size that is none', ['--traces', '0'], 'npm run bench:fleet'],
  ['what it has no broker for', [], 'not on PATH'],
])('refuses %s', (_, args, said) => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { ...process.env, PATH: '' },
  })
  expect(status).toBe(2)
  expect(stderr).toContain(said)
})
