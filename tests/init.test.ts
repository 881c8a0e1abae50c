import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import {
  type Choices,
  ENGINES,
  EXPORTERS,
  FRAMEWORKS,
  IDENTITIES,
} from '../packages/cli/dist/init/choices.js'
import { filesOf } from '../packages/cli/dist/init/files.js'
import { packagesOf } from '../packages/cli/dist/init/next-steps.js'
import type { DevAuthority } from '../packages/spiffe/dist/dev-authority/index.js'
import { root } from '../scripts/workspace.mjs'
import { linkWorkspaceModules } from './readmes/workspace-modules.js'
import { begin, ordersIn, startAuthority, temporary } from './support/begun-service.js'
import { run } from './support/run.js'

let authority: DevAuthority
beforeAll(async () => {
  const started = await startAuthority()
  authority = started.authority
  return started.close
})

/** Each framework with each engine that needs nothing beside it; OPA's are in the live suite. */
const RUN: readonly (readonly [string, string, string, string, ...string[]])[] = [
  ['fastify', 'function', 'spire', 'file', '--edge', '--observe', '0'],
  ['fastify', 'cedar', 'local', 'otlp', '--edge'],
  ['express', 'function', 'local', 'file', '--edge'],
  ['express', 'cedar', 'spire', 'otlp'],
]

const TEST = [process.execPath, '--test', 'policies/orders.test.mjs'] as const

it.each(RUN)(
  'what `kest init` writes runs, its policy holds its test, and a request leaves a passport that verifies: %s, %s, %s, %s',
  async (framework, engine, identity, exporter, ...others) => {
    const args = [
      '--framework',
      framework,
      '--engine',
      engine,
      '--identity',
      identity,
      '--exporter',
      exporter,
    ]
    const begun = await begin(ordersIn(await temporary()), {
      args: [...args, ...others],
      authority,
      // It is the same for both frameworks.
      before: framework === 'fastify' ? [TEST] : [],
    })
    expect(begun).toMatchObject({ status: 200, body: { url: '/orders/1' } })
    const [trace, summary] = begun.audit.trim().split('\n')
    expect(JSON.parse(trace as string)).toMatchObject({ verdict: 'verified' })
    expect(summary).toContain('"verified":1')
    // Without lineage it would have been refused: nobody is lost in the first days, and it is on record.
    expect(begun.audit.includes('kest.observed')).toBe(!others.includes('--edge'))
  },
)

it('whatever is chosen, the code that `kest init` writes fits the types of the packages that it says to install', async () => {
  const folder = await temporary()
  linkWorkspaceModules(folder)
  const observe = { expires: new Date(), approver: 'a' }
  for (const framework of FRAMEWORKS)
    for (const engine of ENGINES)
      for (const [i, identity] of IDENTITIES.entries()) {
        const exporter = EXPORTERS[i] as Choices['exporter']
        const own = { name: 'order-book', trustDomain: 'example.org', edge: identity === 'local', observe }
        const choices = { framework, engine, identity, exporter, ...own }
        write(join(folder, [framework, engine, identity].join('-')), choices)
      }
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    noPropertyAccessFromIndexSignature: true,
    skipLibCheck: true,
    allowJs: true,
    checkJs: true,
    noEmit: true,
    types: ['node'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['**/*.mjs'] }))
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], folder)
})

function write(place: string, choices: Choices): void {
  const known = packagesOf(choices)
  for (const { path, text } of filesOf(choices)) {
    const code = path.endsWith('.patch') ? addedBy(text) : text
    const file = join(place, path.replace('kest.patch', 'service.mjs'))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, code)
    for (const [, module] of code.matchAll(/^import .* from '([^.'\n][^'\n]*)'$/gm))
      expect([...known, 'node:assert/strict', 'node:test']).toContain(module)
  }
}

function addedBy(patch: string): string {
  return patch
    .split('\n')
    .filter((line) => /^\+(?!\+\+)/.test(line))
    .map((line) => `${line.slice(1)}\n`)
    .join('')
}
