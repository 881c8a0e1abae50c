import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { root } from '../../scripts/workspace.mjs'
import { run } from '../support/run.js'
import { README_PAGES, snippetsOf, typeScriptSnippets } from './snippets.js'
import { linkWorkspaceModules } from './workspace-modules.js'
import { writeSnippets } from './write-snippets.js'

const folder = await mkdtemp(join(tmpdir(), 'kest-readmes-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

it('what every README shows in TypeScript fits the types of the packages', async () => {
  expect(typeScriptSnippets().length).toBeGreaterThan(30)
  linkWorkspaceModules(folder)
  writeSnippets(folder, ['ambient.d.ts', 'sdk-node.d.ts'])
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], folder)
})

it('every block of a README says its language', () => {
  const known = ['ts', 'js', 'sh', 'console', 'text', 'yaml', 'jsonc', 'json', 'cedar', 'rego']
  const unknown = README_PAGES.flatMap(snippetsOf).filter(({ language }) => !known.includes(language))
  expect(unknown.map(({ page, line }) => `${page}:${line}`)).toEqual([])
})
