import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { packageManagerEnv, readJson, root } from '../scripts/workspace.mjs'
import { installConsumer } from './support/consumer.js'
import { type Manifest, pack, packagesIn } from './support/packed.js'
import { run } from './support/run.js'

const NOBODY = 'http://127.0.0.1:9'

const work = await mkdtemp(join(tmpdir(), 'kest-packages-'))
const packages = packagesIn(work)
const importable = packages.filter(({ specifiers }) => specifiers.length > 0)

afterAll(() => rm(work, { recursive: true, force: true }))
beforeAll(() => pack(packages, work))

describe.each(packages)('the package in $folder', ({ manifest, tarball }) => {
  it('holds what was built and nothing else', async () => {
    const files = (await run('tar', ['-tzf', tarball], work)).trim().split('\n')
    const expected =
      /^package\/(package\.json|README\.md|CHANGELOG\.md|LICENSE|bin\/[\w-]+\.js|schemas\/[\w-]+\.json|policies\/\w+\.(rego|wasm)|dist\/.+\.(js|js\.map|d\.ts|wasm))$/
    expect(files.filter((file) => !expected.test(file) || /\.test(-d)?\./.test(file))).toEqual([])
    expect(files).toEqual(
      expect.arrayContaining(
        ['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json'].map((file) => `package/${file}`),
      ),
    )
    expect(files.some((file) => file.startsWith('package/dist/'))).toBe(true)
  })

  it('is published by npm as it is, without a warning', async () => {
    // From a folder, for npm corrects the manifest there, and says so; a tarball it takes as it comes.
    const folderToPublish = join(await unpacked(tarball), 'package')
    const said = await run(
      'npm',
      // Nobody is asked, and nobody is there.
      [
        'publish',
        '--dry-run',
        '--offline',
        '--loglevel=warn',
        `--registry=${NOBODY}/`,
        `--${NOBODY.slice(5)}/:_authToken=none`,
      ],
      folderToPublish,
      packageManagerEnv(),
    )
    expect(said.trim()).toBe(`+ ${manifest.name}@${manifest.version}`)
  })

  it('names no source map that it does not hold, and its maps hold their sources', async () => {
    const unpackedPackage = join(await unpacked(tarball), 'package')
    const files = (await readdir(unpackedPackage, { recursive: true })).map((file) =>
      join(unpackedPackage, file),
    )
    for (const file of files.filter((name) => /\.(js|ts)$/.test(name))) {
      for (const [, map] of (await readFile(file, 'utf8')).matchAll(/^\/\/# sourceMappingURL=(.+)$/gm)) {
        expect(files).toContain(join(dirname(file), map as string))
      }
    }
    for (const file of files.filter((name) => name.endsWith('.map'))) {
      const { sources, sourcesContent } = readJson(file) as { sources: string[]; sourcesContent?: string[] }
      expect(sourcesContent).toHaveLength(sources.length)
    }
  })

  it('has nothing that publint would change', async () => {
    const tarballBytes = new Uint8Array(await readFile(tarball)).buffer
    const { messages } = await publint({ pack: { tarball: tarballBytes }, strict: true })
    expect(messages.map((message) => formatMessage(message, manifest, { color: false }))).toEqual([])
  })
})

it.each(importable)('the types of $folder fit its modules, by attw', async ({ manifest, tarball }) => {
  const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js')
  const entries = ['--exclude-entrypoints', ...filesOf(manifest)]
  const profile = ['--profile', 'esm-only', '--no-emoji', '--no-color']
  await run(process.execPath, [attw, tarball, ...profile, ...entries], work)
})

describe('a project that installs the packages', () => {
  const consumer = join(work, 'consumer')
  beforeAll(() => installConsumer(consumer, packages))

  it.each(['nodenext', 'bundler'])(
    'type-checks what it writes, with moduleResolution %s',
    async (resolution) => {
      await run(
        process.execPath,
        [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(consumer, `tsconfig.${resolution}.json`)],
        consumer,
      )
    },
  )
})

/** What is exported as it is, and is no module. */
function filesOf({ exports }: Manifest): string[] {
  return Object.keys(exports).filter((path) => typeof exports[path] === 'string')
}

/** Where the tarball was unpacked, once. */
async function unpacked(tarball: string): Promise<string> {
  const place = join(work, `${basename(tarball, '.tgz')}-unpacked`)
  if (existsSync(place)) return place
  await mkdir(place)
  await run('tar', ['-xzf', tarball, '-C', place], work)
  return place
}
