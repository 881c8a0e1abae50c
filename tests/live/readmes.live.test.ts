import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { packageManagerEnv } from '../../scripts/workspace.mjs'
import { followFirstHour } from '../readmes/first-hour.js'
import { patternOf } from '../readmes/pattern.js'
import { README_PAGES, type Snippet, snippetsOf } from '../readmes/snippets.js'
import { writeSnippets } from '../readmes/write-snippets.js'
import { run, SCRIPT } from '../support/run.js'
import { type Registry, startRegistry } from './registry.js'

const NODES = ['20.19', '22', '24', '26']
/** What READMEs install is installed on the oldest and the newest; on all, `packaging.test.ts` imports what is packed. */
const ENDS = [NODES.at(0), NODES.at(-1)]

/** Those that install something, and nothing else: other commands are for the repository, or for a reader's own files. */
const installs = README_PAGES.flatMap(snippetsOf).filter(
  ({ language, text }) =>
    language === 'sh' && text.split('\n').every((line) => line.startsWith('npm install ')),
)

const work = await mkdtemp(join(tmpdir(), 'kest-first-hour-'))
let registry: Registry

beforeAll(async () => {
  const tarballs = join(work, 'tarballs')
  await mkdir(tarballs)
  registry = await startRegistry(tarballs)
}, 600_000)
afterAll(async () => {
  registry?.close()
  await rm(work, { recursive: true, force: true })
})

it('every package says how it is installed', () => {
  const said = installs.map(({ text }) => text).join('\n')
  expect(registry.names.filter((name) => !said.includes(name))).toEqual([])
})

/** What an installed package is imported by: its name, or where nothing has that, each of its subpaths. */
function doorsOf(folder: string, name: string): string[] {
  const manifest = join(folder, 'node_modules', name, 'package.json')
  const { exports = '.' } = JSON.parse(readFileSync(manifest, 'utf8')) as { exports?: string | object }
  const paths = typeof exports === 'string' ? ['.'] : Object.keys(exports)
  const subpaths = paths.filter((path) => path.startsWith('./') && !/\.json$|\*/.test(path))
  const named = paths.some((path) => !path.startsWith('./'))
  return named ? [name] : subpaths.map((path) => join(name, path))
}

describe.each(NODES)('on Node %s', (version) => {
  const node = join(work, `node-${version}`)

  beforeAll(async () => {
    await mkdir(node)
    await run('npm', ['install', '--no-audit', '--no-fund', `node@${version}`], node, packageManagerEnv())
  }, 600_000)

  const here = ENDS.includes(version) ? installs : []
  it.each(here.map((snippet) => [placeOf(snippet), snippet] as const))(
    '%s installs as printed, and what was installed is there',
    async (place, snippet) => {
      const folder = join(work, version, place)
      await mkdir(folder, { recursive: true })
      const said = await run('bash', [...SCRIPT, snippet.text], folder, environment(folder))
      expect(complaintsIn(said)).toEqual([])
      for (const name of namesIn(snippet.text)) {
        if (name === '@kest/cli')
          expect(await run('kest', ['--help'], folder, environment(folder))).toContain('kest')
        else
          for (const door of doorsOf(folder, name))
            await run(
              'node',
              ['--input-type=module', '-e', `await import('${door}')`],
              folder,
              environment(folder),
            )
      }
    },
    300_000,
  )

  it("the README alone leads to a chain of one's own, and its lineage is verified", async () => {
    const folder = join(work, version, 'chain')
    await mkdir(folder, { recursive: true })
    const printed = await followFirstHour(folder, { install: true, env: environment(folder) })
    for (const { promised, printed: said } of printed) expect(said).toMatch(patternOf(promised))
  }, 300_000)

  function environment(folder: string): NodeJS.ProcessEnv {
    // As npx finds what is installed in a folder, and a shell what is installed for all.
    const own = [join(node, 'node_modules/.bin'), join(folder, 'node_modules/.bin'), join(folder, 'bin')]
    const path = [...own, process.env['PATH']].join(delimiter)
    return {
      ...packageManagerEnv(),
      ...registry.env,
      PATH: path,
      npm_config_prefix: folder,
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      npm_config_update_notifier: 'false',
    }
  }
})

it('what every README shows in TypeScript fits the newest versions of all that it names', async () => {
  const folder = join(work, 'types')
  await mkdir(folder)
  writeSnippets(folder, ['ambient.d.ts'])
  const named = README_PAGES.flatMap(snippetsOf)
    .filter(({ language }) => language === 'ts')
    .flatMap(({ text }) =>
      [...text.matchAll(/from '((?:@[^/']+\/)?[^/']+)/g)].map(([, name]) => name as string),
    )
    .filter((name) => !name.startsWith('node:'))
  const types = ['typescript', '@types/node', '@types/express', '@types/ws', '@opentelemetry/api', 'libsql']
  const latest = [...new Set([...named, ...types])].map((name) => `${name}@latest`)
  const env = { ...packageManagerEnv(), ...registry.env }
  await run('npm', ['install', '--no-audit', '--no-fund', ...latest], folder, env)
  await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], folder)
}, 600_000)

function placeOf({ page, line }: Snippet): string {
  return `${page.replaceAll('/', '-')}:${line}`.replace(':', '-')
}

/**
 * What npm says of others is theirs: that a dependency has a script, which Kest does not need, or no longer names Node 20
 * among its engines. What it says of peers, of what is deprecated, or of our own engines is ours.
 */
function complaintsIn(said: string): string[] {
  return said
    .split('\n')
    .filter((line) => /^npm (warn|error)/.test(line))
    .filter((line) => !/^npm warn install-scripts/.test(line))
    .filter((line) => !line.startsWith('npm warn EBADENGINE') || line.includes("package: '@kest/"))
}

/** The packages that a command installs, without what a shell takes for a comment. */
function namesIn(commands: string): string[] {
  return commands
    .split('\n')
    .flatMap((line) => line.replace(/#.*/, '').replace('npm install', '').trim().split(/\s+/))
    .filter((word) => word !== '' && !word.startsWith('-'))
}
