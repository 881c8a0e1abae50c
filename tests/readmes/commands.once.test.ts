import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { packageManagerEnv, readJson, root } from '../../scripts/workspace.mjs'
import { run, SCRIPT } from '../support/run.js'
import { COMMANDS } from './commands.js'
import { GUIDES, README_PAGES, type Snippet, snippetsOf } from './snippets.js'

const blocks = README_PAGES.flatMap(snippetsOf).filter(({ language }) => ['sh', 'console'].includes(language))
/** Whatever the first of them does. */
const SETUP = 'npm run setup'
const OUT = 'examples/three-hop/out'
const KEST = join(root, 'packages/cli/bin/kest.js')

const out = await mkdtemp(join(tmpdir(), 'kest-commands-'))
afterAll(() => rm(out, { recursive: true, force: true }))

function keyOf({ page, text }: Snippet): string | undefined {
  return Object.keys(COMMANDS).find((key) => `${page}: ${text}`.startsWith(key))
}

function treatedAs(treatment: string): Snippet[] {
  return blocks.filter((block) => COMMANDS[keyOf(block) as string] === treatment)
}

it('every block of commands is tested in one way, or says why it is not, and by what else', () => {
  expect(blocks.filter((block) => keyOf(block) === undefined)).toEqual([])
  const keys = blocks.map(keyOf)
  expect(Object.keys(COMMANDS).filter((key) => keys.filter((used) => used === key).length !== 1)).toEqual([])
  for (const treatment of Object.values(COMMANDS)) {
    if (['installed', 'followed', 'run', 'ci'].includes(treatment)) continue
    const [, file] = /: (\S+\.test\.ts)$/.exec(treatment) ?? []
    expect([treatment, file !== undefined && existsSync(join(root, file))]).toEqual([treatment, true])
  }
})

it('what is said to be installed, followed or run by `.ci/run` is', () => {
  for (const { text } of treatedAs('installed')) expect(text).toMatch(/^(npm install .*(\n|$))+$/)
  for (const { section } of treatedAs('followed')) expect(section).toBe('A chain of your own')
  const ci = readFileSync(join(root, '.ci/run'), 'utf8')
  for (const line of treatedAs('ci').flatMap(linesOf))
    expect(ci).toMatch(new RegExp(`^(step .* )?${line}( |$)`, 'm'))
})

it('what READMEs run in the repository runs, after `npm start`', async () => {
  await run(process.execPath, [join(root, 'examples/three-hop/dist/main.js'), out], root)
  const lines = treatedAs('run').flatMap(linesOf)
  expect(lines.length).toBeGreaterThanOrEqual(4)
  for (const line of lines.filter((command) => command !== SETUP))
    await run('bash', [...SCRIPT, line.replaceAll(OUT, out)], root, packageManagerEnv())
})

describe('in every README and guide', () => {
  const shown = [...README_PAGES, ...GUIDES]
    .flatMap(snippetsOf)
    .filter(({ language }) => ['sh', 'console', 'text'].includes(language))
    .flatMap((block) => linesOf(block).map((line) => [block.page, line] as const))

  it('each option of kest is one', async () => {
    const helps = new Map<string, string>()
    const used = shown.flatMap(([page, line]) =>
      [...line.matchAll(/\bkest ([a-z]+) ([^|]*?)(?= -- |$)/g)].map(([, name, rest]) => ({
        page,
        name,
        rest,
      })),
    )
    expect(used.length).toBeGreaterThan(15)
    for (const { page, name, rest } of used as { page: string; name: string; rest: string }[]) {
      if (!helps.has(name)) helps.set(name, await run(process.execPath, [KEST, name, '--help'], root))
      for (const [option] of rest.matchAll(/(?<![\w-])--?[a-z][a-z-]*/g))
        expect([page, name, helps.get(name)]).toEqual([
          page,
          name,
          expect.stringMatching(`(^|[\\s,])${option}[\\s,]`),
        ])
    }
  })

  it('each script of npm is one, and each program of the repository is there', () => {
    const { scripts } = readJson(join(root, 'package.json')) as { scripts: Record<string, string> }
    // The reader's own, in a chain of one's own.
    const known = new Set([...Object.keys(scripts), 'dev'])
    for (const [page, line] of shown) {
      for (const [, name] of line.matchAll(/\bnpm run ([\w:]+)/g))
        expect([page, known.has(name as string)]).toEqual([page, true])
      for (const [, file] of line.matchAll(/\bnode (?:--\S+ )*((?:[\w-]+\/)+[\w-]+\.js)/g))
        expect([page, file, existsSync(join(root, file as string))]).toEqual([page, file, true])
    }
  })
})

/** Whole commands, without prompts and comments. */
function linesOf({ text }: Snippet): string[] {
  return text
    .replaceAll(/\s*\\\n\s*/g, ' ')
    .replaceAll(/\n {4,}(?=\[)/g, ' ')
    .split('\n')
    .map((line) =>
      line
        .replace(/^\$ /, '')
        .replace(/\s+# .*$/, '')
        .trim(),
    )
    .filter((line) => line !== '')
}
