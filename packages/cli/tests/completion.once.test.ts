import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { folder, kest } from './support/kest.js'

describe('kest completion', () => {
  it.each([
    [[], 'which shell? kest completion bash, or zsh, or fish'],
    [['bash', 'zsh'], 'which shell?'],
    [['bsh'], 'shell: expected bash or zsh or fish, got "bsh"; did you mean bash?'],
  ])('says what is wrong: %j', async (args, message) => {
    const run = await kest(['completion', ...args])
    expect(run).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) })
  })

  it.runIf(existsSync('/bin/bash'))('completes in bash', async () => {
    const { stdout } = await kest(['completion', 'bash'])
    const path = await folder({ 'kest.bash': stdout })
    // As bash makes words of a line: it takes --format=html and a.b=c apart.
    const completed = (...words: string[]) =>
      execFileSync(
        '/bin/bash',
        [
          '--norc',
          '-euc',
          `source kest.bash; IFS=,; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kest; echo "\${COMPREPLY[@]}"`,
          'bash',
          'kest',
          ...words,
        ],
        { cwd: path, encoding: 'utf8' },
      ).trimEnd()
    expect(completed('')).toBe(
      'verify show audit evidence graph replay init deploy dev doctor policies completion help --help --version',
    )
    expect(completed('ver')).toBe('verify')
    expect(completed('help', 'gra')).toBe('graph')
    expect(completed('verify', '--tr')).toBe('--trust --trust-domain')
    expect(completed('verify', '--semantics', '')).toBe('report enforce')
    expect(completed('graph', 'x', '--format', '=', 'ht')).toBe('html')
    expect(completed('graph', 'x', '-f', '=')).toBe('mermaid dot svg html')
    expect(completed('audit', '--fail-on', 'sequence-s')).toBe('sequence-shared sequence-start')
    expect(completed('completion', '')).toBe('bash zsh fish')
    expect(completed('deploy', '')).toBe('check')
    expect(completed('deploy', 'check', 'k')).toBe('')
    expect(completed('deploy', 'check', '--opa-s')).toBe('--opa-socket')
    expect(completed('verify', '$(touch made)')).toBe('')
    expect(completed('graph', '-f', '`touch made`')).toBe('')
    expect(existsSync(`${path}/made`)).toBe(false)
    // Files, as readline completes them where there is nothing else.
    expect(completed('verify', 'e')).toBe('')
    expect(completed('audit', '--trust', 'example.org', '=', 'b')).toBe('')
    expect(completed('dev', '--workloads', 'orders', '--', 'kest', '--ver')).toBe('')
    const registered = execFileSync('/bin/bash', ['--norc', '-euc', 'source kest.bash; complete -p kest'], {
      cwd: path,
      encoding: 'utf8',
    })
    expect(registered).toBe('complete -o default -F _kest kest\n')
  })

  it.each(['zsh', 'fish'])('says in %s what an option is for, in whole words', async (shell) => {
    const { stdout } = await kest(['completion', shell])
    expect(stdout.replaceAll('\\', '')).toContain('such as 2026-01-31T12:00:00Z')
    expect(stdout.replaceAll('\\', '')).toContain('[HOST:]PORT, such as 4318')
  })

  it.each([
    ['zsh', "'1:word:(check)' \\\n        '*:file:_files'"],
    ['fish', "'__fish_seen_subcommand_from deploy; and not __fish_seen_subcommand_from check' -a 'check'"],
  ])('offers in %s what must come first, before files', async (shell, line) => {
    const { stdout } = await kest(['completion', shell])
    expect(stdout).toContain(line)
  })

  it.each(['bash', 'zsh', 'fish'])('names every command and every option for %s', async (shell) => {
    const { stdout } = await kest(['completion', shell])
    const { stdout: help } = await kest(['--help'])
    const names = [...help.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name as string)
    expect(names).toContain('completion')
    for (const name of names) {
      expect(stdout).toContain(name)
      const { stdout: text } = await kest([name, '--help'])
      for (const [, option] of text.matchAll(/^ {2}(?:-., )?--([a-z-]+)/gm))
        expect(stdout).toMatch(new RegExp(`(?:--|-l )${option}\\b`))
    }
  })
})
