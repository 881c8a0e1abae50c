import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from '../scripts/workspace.mjs'
import { linkWorkspaceModules } from './readmes/workspace-modules.js'
import { run } from './support/run.js'

const telemetry = createRequire(join(root, 'packages/telemetry/package.json'))
const cedar = createRequire(join(root, 'packages/cedar/package.json'))
const { build } = telemetry('esbuild') as { build(options: object): Promise<unknown> }

const work = await mkdtemp(join(tmpdir(), 'kest-bundling-'))
afterAll(() => rm(work, { recursive: true, force: true }))

const BANNER = `import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);`

beforeAll(async () => {
  linkWorkspaceModules(work)
  await copyFile(join(root, 'tests/fixtures/bundling/service.js'), join(work, 'service.js'))
})

it('the manual names the same banner', async () => {
  expect(await readFile(join(root, 'docs/bundling.md'), 'utf8')).toContain(BANNER)
})

describe.each(['esm', 'cjs'] as const)('a service bundled as %s', (format) => {
  it.each([false, true])(
    'decides by Rego, the policy library and Cedar, writes SQLite, and knows its errors; minified: %s',
    async (minify) => {
      // Far from any package, but for what has native code.
      const place = await mkdtemp(join(tmpdir(), 'kest-bundle-'))
      try {
        const outfile = join(place, format === 'esm' ? 'main.mjs' : 'main.cjs')
        const options = {
          bundle: true,
          platform: 'node',
          target: 'node20',
          external: ['libsql'],
        }
        await build({
          ...options,
          entryPoints: [join(work, 'service.js')],
          format,
          minify,
          outfile,
          logLevel: 'silent',
          ...(format === 'esm' ? { banner: { js: BANNER } } : {}),
        })
        await copyFile(join(root, 'packages/opa/policies/policy.wasm'), join(place, 'policy.wasm'))
        const web = join(
          dirname(cedar.resolve('@cedar-policy/cedar-wasm/nodejs')),
          '../web/cedar_wasm_bg.wasm',
        )
        await copyFile(web, join(place, 'cedar.wasm'))
        await mkdir(join(place, 'node_modules'))
        await writeFile(join(place, 'package.json'), '{}')
        await symlink(
          join(root, 'packages/telemetry/node_modules/libsql'),
          join(place, 'node_modules/libsql'),
        )

        const said = await run(process.execPath, ['--no-warnings', outfile], place)
        expect(JSON.parse(said.trim().split('\n').at(-1) as string)).toEqual({
          rego: [true, false],
          cedar: [true, false],
          errors: [true, false, true],
          library: format === 'cjs' ? 'ERR_KEST_CONFIG' : 'file:',
          spans: true,
        })
        expect((await readFile(outfile, 'utf8')).includes(root)).toBe(false)
      } finally {
        await rm(place, { recursive: true, force: true })
      }
    },
  )
})
