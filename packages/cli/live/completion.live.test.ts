import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { folder, kest } from '../tests/support/kest.js'

/** A line, up to where somebody presses Tab, and what it is then. */
const LINES = [
  ['kest veri', 'kest verify'],
  ['kest help aud', 'kest help audit'],
  ['kest verify --sem', 'kest verify --semantics'],
  ['kest verify --semantics enf', 'kest verify --semantics enforce'],
  ['kest graph --format=ht', 'kest graph --format=html'],
  ['kest graph -f ht', 'kest graph -f html'],
  ['kest audit sp', 'kest audit spans.jsonl'],
  ['kest audit --trust key', 'kest audit --trust keys.json'],
  ['kest audit --trust example.org=bun', 'kest audit --trust example.org=bundle.json'],
  ['kest completion zs', 'kest completion zsh'],
] as const

/** Types lines into an interactive zsh, and writes what each has become. */
const ZSH = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; autoload -Uz compinit; compinit -u -D; source kest.zsh; unsetopt beep auto_list auto_menu'
zpty -w shell 'tab() { zle expand-or-complete; print -r -- "$BUFFER" >> lines; BUFFER=; zle accept-line; }; zle -N tab; bindkey "^I" tab'
zpty -w shell 'print ready-$((1 + 1))'
zpty -r -m shell out '*ready-2*'
for line in "$@"; do zpty -w -n shell "$line"$'\\t'; done
zpty -w shell 'print done-$((1 + 1))'
zpty -r -m shell out '*done-2*'
`

describe('what kest completion writes, in real shells', () => {
  it('completes in zsh', async () => {
    const path = await files('zsh')
    const typed = LINES.map(([line]) => line)
    execFileSync('zsh', ['-f', '-c', ZSH, 'zsh', ...typed], { cwd: path, env: environment(path) })
    const become = readFileSync(join(path, 'lines'), 'utf8').trimEnd().split('\n')
    // It writes = behind an option that takes a value, and takes it back for a space.
    expect(become.map((line) => line.replace(/[= ]+$/, ''))).toEqual(LINES.map(([, line]) => line))
  })

  it('completes in fish', async () => {
    const path = await files('fish')
    const script =
      'source kest.fish; for line in $argv; complete -C $line | string replace -r "\\t.*" ""; end; true'
    const words = execFileSync('fish', ['-N', '-c', script, ...LINES.map(([line]) => line)], {
      cwd: path,
      env: environment(path),
      encoding: 'utf8',
    })
    expect(words.trimEnd().split('\n')).toEqual(LINES.map(([, line]) => line.split(' ').at(-1)))
  })
})

async function files(shell: string): Promise<string> {
  const { stdout } = await kest(['completion', shell])
  return await folder({ [`kest.${shell}`]: stdout, 'spans.jsonl': '', 'keys.json': '', 'bundle.json': '' })
}

/** Nothing of whoever runs the tests. */
function environment(home: string): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: home, TERM: 'xterm', LC_ALL: 'C.UTF-8' }
}
