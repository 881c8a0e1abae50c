import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { packageFolders, packageManagerEnv, readJson, root } from '../scripts/workspace.mjs'

interface Manifest {
  name: string
  version: string
  private?: boolean
  packageManager: string
  bin?: Record<string, string>
  exports: Record<string, unknown>
  peerDependencies?: Record<string, string>
}

interface Package {
  readonly folder: string
  readonly manifest: Manifest
  /** `.`, `./testing`, … as one imports them. */
  readonly specifiers: readonly string[]
}

const packages: Package[] = packageFolders()
  .map((folder) => ({ folder, manifest: readJson(join(root, folder, 'package.json')) as Manifest }))
  .filter(({ manifest }) => manifest.private !== true)
  .map(({ folder, manifest }) => ({ folder, manifest, specifiers: specifiersOf(manifest) }))
const importable = packages.filter(({ specifiers }) => specifiers.length > 0)
const commands = packages.flatMap(({ manifest }) => Object.keys(manifest.bin ?? {}))

const NOBODY = 'http://127.0.0.1:9'

const work = await mkdtemp(join(tmpdir(), 'kest-packaging-'))
const consumer = join(work, 'consumer')
afterAll(() => rm(work, { recursive: true, force: true }))

beforeAll(async () => {
  for (const { folder } of packages) await pnpm(join(root, folder), 'pack', '--out', tarball(folder))
})

describe.each(packages)('the package in $folder', ({ folder, manifest }) => {
  it('holds what was built and nothing else', async () => {
    const files = (await execute('tar', ['-tzf', tarball(folder)])).trim().split('\n')
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
    const folderToPublish = join(await unpacked(folder), 'package')
    const said = await executeAll(
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
    const unpackedPackage = join(await unpacked(folder), 'package')
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
    const tarballBytes = new Uint8Array(await readFile(tarball(folder))).buffer
    const { messages } = await publint({ pack: { tarball: tarballBytes }, strict: true })
    expect(messages.map((message) => formatMessage(message, manifest, { color: false }))).toEqual([])
  })
})

it.each(importable)('the types of $folder fit its modules, by attw', async ({ folder, manifest }) => {
  const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js')
  await execute(process.execPath, [
    attw,
    tarball(folder),
    '--profile',
    'esm-only',
    '--no-emoji',
    '--no-color',
    '--exclude-entrypoints',
    ...filesOf(manifest),
  ])
})

describe('a project that installs the packages', () => {
  beforeAll(async () => {
    await mkdir(consumer)
    await writeConsumer()
    await pnpm(
      consumer,
      'install',
      '--prefer-offline',
      '--no-frozen-lockfile',
      '--config.strict-peer-dependencies=true',
    )
  })

  it.each(importable.flatMap(({ specifiers }) => specifiers))('imports %s', async (specifier) => {
    expect(await namesOf('--input-type=module', `const it = await import('${specifier}')`)).not.toEqual([])
  })

  it.each(importable.flatMap(({ specifiers }) => specifiers))(
    'requires %s from CommonJS',
    async (specifier) => {
      expect(await namesOf('--input-type=commonjs', `const it = require('${specifier}')`)).not.toEqual([])
    },
  )

  it.each(['nodenext', 'bundler'])(
    'type-checks what it writes, with moduleResolution %s',
    async (resolution) => {
      await execute(process.execPath, [
        join(root, 'node_modules/typescript/bin/tsc'),
        ...['-p', join(consumer, `tsconfig.${resolution}.json`)],
      ])
    },
  )

  it.each(commands)('runs %s', async (command) => {
    expect(await execute(join(consumer, 'node_modules/.bin', command), ['--help'])).toContain(command)
  })
})

function specifiersOf({ name, exports }: Manifest): string[] {
  return Object.entries(exports)
    .filter(([, target]) => typeof target !== 'string')
    .map(([path]) => join(name, path))
}

/** What is exported as it is, and is no module. */
function filesOf({ exports }: Manifest): string[] {
  return Object.keys(exports).filter((path) => typeof exports[path] === 'string')
}

/** Where the tarball was unpacked, once. */
async function unpacked(folder: string): Promise<string> {
  const place = join(work, `${basename(folder)}-unpacked`)
  if (existsSync(place)) return place
  await mkdir(place)
  await execute('tar', ['-xzf', tarball(folder), '-C', place])
  return place
}

function tarball(folder: string): string {
  return join(work, `${basename(folder)}.tgz`)
}

/** Runs in the consumer's folder; the names that the module called `it` exports. */
async function namesOf(inputType: string, statement: string): Promise<string[]> {
  const script = `${statement}; console.log(JSON.stringify(Object.keys(it)))`
  return JSON.parse(await execute(process.execPath, ['--no-warnings', inputType, '-e', script], consumer))
}

/**
 * An empty project that depends on the tarballs and on the peers they ask for, in the versions that are tested here.
 * Its sources are each package's `tests/consumer.ts`, or a bare import where there is none.
 */
async function writeConsumer(): Promise<void> {
  const ours = Object.fromEntries(
    packages.map(({ folder, manifest }) => [manifest.name, `file:${tarball(folder)}`]),
  )
  const peers = packages.flatMap(({ folder, manifest }) =>
    Object.keys(manifest.peerDependencies ?? {}).map((peer) => [peer, installedVersion(folder, peer)]),
  )
  const types = ['@types/node', '@types/express'].map((name) => [
    name,
    installedVersion('packages/express', name),
  ])
  const dependencies = { ...ours, ...Object.fromEntries([...peers, ...types]) }
  const manifest = {
    name: 'consumer',
    private: true,
    type: 'module',
    dependencies,
    pnpm: { overrides: ours },
  }
  await writeFile(join(consumer, 'package.json'), JSON.stringify(manifest))

  for (const { folder, specifiers } of importable) {
    const own = join(root, folder, 'tests/consumer.ts')
    const target = join(consumer, `${basename(folder)}.ts`)
    if (existsSync(own)) await copyFile(own, target)
    else await writeFile(target, specifiers.map((specifier) => `import '${specifier}'\n`).join(''))
  }

  const common = { target: 'es2022', strict: true, noEmit: true, types: ['node'] }
  const resolutions = {
    nodenext: { module: 'nodenext' },
    bundler: { module: 'esnext', moduleResolution: 'bundler' },
  }
  for (const [name, options] of Object.entries(resolutions)) {
    const config = { compilerOptions: { ...common, ...options }, include: ['*.ts'] }
    await writeFile(join(consumer, `tsconfig.${name}.json`), JSON.stringify(config))
  }
}

function installedVersion(folder: string, name: string): string {
  const place = [folder, '.'].find((parent) => existsSync(join(root, parent, 'node_modules', name)))
  if (place === undefined) throw new Error(`${folder} has no ${name} among its devDependencies`)
  return (readJson(join(root, place, 'node_modules', name, 'package.json')) as { version: string }).version
}

async function pnpm(cwd: string, ...args: string[]): Promise<void> {
  const { packageManager } = readJson(join(root, 'package.json')) as Manifest
  await execute('npx', ['-y', packageManager, ...args], cwd, packageManagerEnv())
}

/** What the command printed; when it fails, an error with all of it. */
async function execute(command: string, args: string[], cwd = root, env = process.env): Promise<string> {
  return (await outputOf(command, args, cwd, env)).stdout
}

/** The same, and what it complained about. */
async function executeAll(...command: Parameters<typeof outputOf>): Promise<string> {
  const { stdout, stderr } = await outputOf(...command)
  return stderr + stdout
}

async function outputOf(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv) {
  try {
    return await promisify(execFile)(command, args, { cwd, env, maxBuffer: 1 << 24 })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${basename(command)} ${args.join(' ')} failed\n${stdout}${stderr}`, { cause: error })
  }
}
