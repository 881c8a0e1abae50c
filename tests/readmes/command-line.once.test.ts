import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, describe, expect, it } from 'vitest'
import { packageManagerEnv } from '../../scripts/workspace.mjs'
import { commandLineFolder } from './command-line.js'
import { type Snippet, snippetsOf } from './snippets.js'

const PAGE = 'packages/cli/README.md'
const COMMANDS = [
  'verify',
  'audit',
  'replay',
  'evidence',
  'graph',
  'show',
  'init',
  'dev',
  'doctor',
  'policies',
  'completion',
]

const snippets = snippetsOf(PAGE)
const { folder, bin } = await commandLineFolder()
afterAll(() => rmSync(folder, { recursive: true, force: true }))
for (const path of ['.local/share/bash-completion/completions', '.zfunc', '.config/fish/completions'])
  mkdirSync(join(folder, path), { recursive: true })
writeFileSync(join(folder, 'package.json'), snippets.find(({ language }) => language === 'json')?.text ?? '')

describe('the manual of the command line', () => {
  // First, as `kest dev` writes a trust.json of its own.
  it('what is decided again in its examples is what its spans say', async () => {
    const texts = '--replay bundle-v12.tar.gz --replay bundle-v13.tar.gz'
    const { stdout } = await run(`kest audit spans/ --trust trust.json ${texts}`)
    expect(stdout).toContain('decided again: 4 match, 0 match by name, 0 mismatch, 0 unverifiable\n')
    const { stdout: asked } = await run(
      'kest replay --what-if new-bundle.tar.gz spans/ --trust trust.json --json',
    )
    expect(asked).toContain('"operations":4,"operations_denied":0')
  })

  it.each(snippets.filter(isShell).flatMap(commandsOf))('%s runs as printed', async (_, command) => {
    const { code, stderr } = await run(command)
    expect({ code, stderr }).toMatchObject({ code: 0 })
  })

  it.each(
    snippets.filter(({ language }) => language === 'console').map((one) => [placeOf(one), one] as const),
  )('%s prints what it shows', async (_, { text: shown }) => {
    const [first, ...lines] = shown.split('\n') as [string, ...string[]]
    const { stdout } = await run(first.replace(/^\$ /, ''))
    expect(withoutChance(stdout)).toMatch(patternOf(lines))
  })

  it.each(COMMANDS)('the examples in the help of %s run as printed', async (name) => {
    const { stdout: help } = await run(`kest ${name} --help`)
    const examples = /\nExamples:\n((?: {2}.*\n)+)/.exec(help)?.[1]?.trim().split('\n') ?? []
    expect(examples.length).toBeGreaterThan(1)
    for (const example of examples) {
      const { code, stderr } = await run(example.trim())
      expect({ example, code, stderr }).toMatchObject({ code: 0 })
    }
  })

  it('the manual shows every command, and its help every option that the manual names', async () => {
    const told = snippets.map(({ text: shown }) => shown).join('\n')
    for (const name of COMMANDS) {
      const { stdout: help } = await run(`kest ${name} --help`)
      expect(told).toContain(`kest ${name}`)
      const { text: usage = '' } = snippets.find(({ text: shown }) => shown.startsWith(`kest ${name} `)) ?? {}
      for (const [option] of usage.matchAll(/--[a-z-]{2,}/g)) expect(help).toContain(option)
    }
  })
})

/** What installs is installed elsewhere. */
function isShell({ language, text: shown }: Snippet): boolean {
  return language === 'sh' && !shown.startsWith('npm install ')
}

function commandsOf(snippet: Snippet): [string, string][] {
  return snippet.text.split('\n').map((command) => [`${placeOf(snippet)}, ${command},`, command])
}

function placeOf({ line }: Snippet): string {
  return `line ${line}`
}

/** As printed, but for a port that may be taken; what listens is told to stop once it does. */
async function run(command: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const listens = command.includes('--listen')
  const script = listens ? `exec ${command.replace('--listen 4318', '--listen 0')}` : command
  const child = spawn('bash', ['--norc', '-eu', '-o', 'pipefail', '-c', script], {
    cwd: folder,
    env: { ...packageManagerEnv(), HOME: folder, PATH: [bin, process.env['PATH']].join(delimiter) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stderr.on('data', (data: Buffer) => {
    if (listens && data.toString().includes('listening on')) child.kill('SIGTERM')
  })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: child.exitCode, stdout, stderr }
}

/** Hashes, ids, times and signatures are others each time. */
function withoutChance(shown: string): string {
  return shown
    .replaceAll(/[\w-]{8}…[\w-]{4}/g, '<short>')
    .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '<uuid>')
    .replaceAll(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replaceAll(/\b[0-9a-f]{12,64}\b/g, '<hash>')
}

/** `⋮` stands for lines that are left out. */
function patternOf(lines: readonly string[]): RegExp {
  const parts = lines.map((line) =>
    line === '⋮' ? '(?:.*\\n)+?' : `${withoutChance(line).replaceAll(/[^\w\s<>]/g, '\\$&')}\\n`,
  )
  return new RegExp(`^${parts.join('')}`)
}
