import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { packageFolders, packageManagerEnv, readJson, root } from '../../scripts/workspace.mjs'
import { run } from '../support/run.js'
import { type Registry, startRegistry } from './registry.js'

const VERSIONS = ['5.6', '5.7', '5.8', 'latest']
const FORMS = { 'an ES module': 'module', 'a CommonJS module': 'commonjs' } as const

const folder = await mkdtemp(join(tmpdir(), 'kest-typescript-'))
let registry: Registry

beforeAll(async () => {
  await mkdir(join(folder, 'tarballs'))
  registry = await startRegistry(join(folder, 'tarballs'))
  const compilers = VERSIONS.map((version) => `typescript-${version}@npm:typescript@${version}`)
  await run(
    'npm',
    ['install', '--no-audit', '--no-fund', ...registry.names, ...compilers, ...PEERS],
    folder,
    { ...packageManagerEnv(), ...registry.env },
  )
  for (const type of Object.values(FORMS)) await writeConsumer(type)
}, 600_000)
afterAll(async () => {
  registry?.close()
  await rm(folder, { recursive: true, force: true })
})

/** What the packages are used with. Types of Node are those of the oldest that is supported. */
const PEERS = [
  '@types/node@20',
  '@types/express',
  'express',
  'fastify',
  'undici',
  '@opentelemetry/api',
  'libsql',
]

it.each([
  ['5.7', 'an ES module'],
  ['5.8', 'a CommonJS module'],
  ['latest', 'an ES module'],
  ['latest', 'a CommonJS module'],
] as const)('TypeScript %s checks all packages, and %s that uses them', async (version, form) => {
  await check(version, form)
})

it.each([
  ['5.6', 'an ES module', /error TS2315: Type 'Uint8Array' is not generic/],
  [
    '5.7',
    'a CommonJS module',
    /error TS1479: The current file is a CommonJS module .* cannot be imported with 'require'/,
  ],
] as const)(
  'TypeScript %s, which is too old for it, says what is wrong with %s',
  async (version, form, why) => {
    await expect(check(version, form)).rejects.toThrow(why)
  },
)

async function check(version: (typeof VERSIONS)[number], form: keyof typeof FORMS): Promise<void> {
  const tsc = join(folder, `node_modules/typescript-${version}/bin/tsc`)
  await run(process.execPath, [tsc, '-p', FORMS[form]], folder)
}

/** Imports everything, and decorates a method. */
async function writeConsumer(type: string): Promise<void> {
  await mkdir(join(folder, type))
  const write = (name: string, text: string) => writeFile(join(folder, type, name), text)
  const imports = specifiers().map((specifier, i) => `import * as it${i} from '${specifier}'\nvoid it${i}\n`)
  await write('package.json', JSON.stringify({ type }))
  await write(
    'consumer.ts',
    `import { verified } from '@kest/core'
${imports.join('')}
export class Payments {
  @verified({ operation: 'payments.refund', policy: 'payments/refund' })
  async refund(amount: number): Promise<number> {
    return amount
  }
}
`,
  )
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    noEmit: true,
    types: ['node'],
  }
  await write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['consumer.ts'] }))
}

function specifiers(): string[] {
  return packageFolders()
    .map((path) => readJson(join(root, path, 'package.json')) as Manifest)
    .filter((manifest) => manifest.private !== true)
    .flatMap(({ name, exports }) =>
      Object.entries(exports)
        .filter(([, target]) => typeof target !== 'string')
        .map(([path]) => join(name, path)),
    )
}

interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly exports: Readonly<Record<string, unknown>>
}
