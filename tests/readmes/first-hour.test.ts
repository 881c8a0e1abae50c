import { mkdirSync, symlinkSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { packageManagerEnv, root } from '../../scripts/workspace.mjs'
import { followFirstHour } from './first-hour.js'
import { patternOf } from './pattern.js'
import { linkWorkspaceModules } from './workspace-modules.js'

const folder = await mkdtemp(join(tmpdir(), 'kest-chain-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

it("a chain of one's own, from the README alone: three services under `kest dev`, and their lineage is verified", async () => {
  linkWorkspaceModules(folder)
  const bin = join(folder, 'node_modules/.bin')
  mkdirSync(bin)
  symlinkSync(join(root, 'packages/cli/bin/kest.js'), join(bin, 'kest'))
  symlinkSync(join(root, 'node_modules/concurrently/dist/bin/concurrently.js'), join(bin, 'concurrently'))
  const printed = await followFirstHour(folder, { install: false, env: packageManagerEnv() })
  const promises = printed.filter(({ promised }) => promised !== '…')
  expect(promises).toHaveLength(3)
  for (const { promised, printed: said } of promises) expect(said).toMatch(patternOf(promised))
  expect(promises.at(-1)?.printed).toMatch(/edge .*\n.* orders .*\n.* payments /)
  expect(await readdir(folder)).toEqual(expect.arrayContaining(['trust.json', 'chain.html', 'spans']))
})
