import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  expectOwnPassports,
  INSTRUMENTED_APP,
  ORDERS,
} from '../packages/http/tests/support/beside-instrumentation.js'
import { root } from '../scripts/workspace.mjs'
import { pack, packagesIn } from './support/packed.js'
import { run } from './support/run.js'

const FIXTURES = join(import.meta.dirname, 'fixtures/opentelemetry')
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
/** As the third line of OpenTelemetry's SDK asks. */
const forSdk3 = major > 22 || (major === 22 && minor >= 15)

/** Beside what the packages stand: the oldest and the newest of OpenTelemetry's API, and both lines of its SDK. */
const SURROUNDINGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'no-sdk, API 1.4': { '@opentelemetry/api': '1.4.0' },
  'no-sdk, API 1.10': { '@opentelemetry/api': '^1.10.0' },
  'sdk-2': {
    '@opentelemetry/api': '~1.9.1',
    '@opentelemetry/context-async-hooks': '^2.12.0',
    '@opentelemetry/exporter-trace-otlp-http': '^0.223.0',
    '@opentelemetry/sdk-metrics': '^2.12.0',
    '@opentelemetry/sdk-trace-base': '^2.12.0',
  },
  'sdk-3': {
    '@opentelemetry/api': '^1.10.0',
    '@opentelemetry/context-async-hooks': '^3.1.0',
    '@opentelemetry/core': '^3.1.0',
    '@opentelemetry/exporter-trace-otlp-http': '^0.301.0',
    '@opentelemetry/instrumentation': '^0.301.0',
    '@opentelemetry/instrumentation-http': '^0.301.0',
    '@opentelemetry/sdk-metrics': '^3.1.0',
    '@opentelemetry/sdk-trace': '^3.1.0',
  },
}

if (!forSdk3) {
  process.stderr.write(
    `the third line of OpenTelemetry's SDK, and HttpInstrumentation 0.3xx, do not run on ${process.version}\n`,
  )
}

const work = await mkdtemp(join(tmpdir(), 'kest-opentelemetry-'))
afterAll(() => rm(work, { recursive: true, force: true }))

const NAMES = ['@kest/core', '@kest/http', '@kest/telemetry']
const packages = packagesIn(work).filter(({ manifest }) => NAMES.includes(manifest.name))

beforeAll(() => pack(packages, work))

describe.each(Object.entries(SURROUNDINGS))('beside OpenTelemetry: %s', (name, versions) => {
  const itRuns = it.skipIf(name === 'sdk-3' && !forSdk3)
  itRuns(
    'npm installs @kest/core, @kest/http and @kest/telemetry without a word, they type-check, and the trail works',
    async () => {
      const folder = join(work, name.replaceAll(/\W+/g, '-'))
      await mkdir(folder)
      const manifest = { name: 'consumer', private: true, type: 'module' }
      await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
      await cp(FIXTURES, join(folder, 'src'), { recursive: true })
      const wanted = Object.entries(versions).map(([dependency, range]) => `${dependency}@${range}`)
      const types = '@types/node@20'
      const said = await run(
        'npm',
        [
          'install',
          '--no-audit',
          '--no-fund',
          '--prefer-offline',
          ...wanted,
          types,
          ...packages.map(({ tarball }) => tarball),
        ],
        folder,
      )
      expect(said).not.toMatch(/warn|ERESOLVE/i)

      const program = name.replace(/,.*/, '')
      await writeFile(
        join(folder, 'tsconfig.json'),
        JSON.stringify({
          compilerOptions: {
            target: 'es2022',
            module: 'nodenext',
            strict: true,
            skipLibCheck: true,
            exactOptionalPropertyTypes: true,
            types: ['node'],
            rootDir: 'src',
            outDir: 'dist',
          },
          files: [`src/${program}.ts`],
        }),
      )
      await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], folder)
      expect(await run(process.execPath, ['--no-warnings', `dist/${program}.js`], folder)).toMatch(/ok\n$/)
    },
  )

  // The newest HttpInstrumentation; the line before it is what the tests of @kest/http run beside.
  describe.skipIf(name !== 'sdk-3' || !forSdk3)('and HttpInstrumentation', () => {
    it.each(ORDERS)(
      'K-AMBIENT K-SCOPE a stranger gets nothing of ours, and the next hop one passport, the right one: %s',
      async (_, order) => {
        const folder = join(work, 'sdk-3')
        const app = join(folder, basename(INSTRUMENTED_APP))
        await cp(INSTRUMENTED_APP, app)
        await expectOwnPassports((...origins) =>
          run(process.execPath, [app, order, ...origins, '@opentelemetry/sdk-trace'], folder),
        )
      },
    )
  })
})
