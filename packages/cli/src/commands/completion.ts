import { chosen } from '../arguments/choice.js'
import type { Options } from '../arguments/options.js'
import { UsageError } from '../arguments/usage-error.js'
import { type About, type Command, defineCommand } from '../command.js'
import { bashCompletion } from '../completion/bash.js'
import { fishCompletion } from '../completion/fish.js'
import type { CompletedCommand } from '../completion/words.js'
import { zshCompletion } from '../completion/zsh.js'
import { EXIT } from '../exit-code.js'
import type { ListedCommand } from './all.js'

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const
const NAMES = Object.keys(SHELLS) as (keyof typeof SHELLS)[]

const ABOUT: About = {
  name: 'completion',
  usage: ['bash|zsh|fish'],
  about: `
Writes a script for a shell, which then completes commands, options, their values and files.
It starts nothing while you type. Behind an update of kest, load it anew.`,
  arguments: NAMES,
  examples: [
    'kest completion bash > ~/.local/share/bash-completion/completions/kest',
    'kest completion zsh > ~/.zfunc/_kest   # a folder of fpath, before compinit',
    'kest completion fish > ~/.config/fish/completions/kest.fish',
  ],
  exitStatus: '0 it is written, 2 the command was used wrongly.',
}

/** @param commands all, with this one */
export function completionOf(commands: readonly ListedCommand[]): Command {
  return defineCommand(ABOUT, {} as const satisfies Options, async ({ positionals }, io) => {
    const [shell, ...others] = positionals
    if (shell === undefined || others.length > 0)
      throw new UsageError(`which shell? kest completion ${NAMES.join(', or ')}`)
    const write = SHELLS[chosen('shell', shell, NAMES)]
    await io.stdout.write(write(await Promise.all(commands.map(completed))))
    return EXIT.holds
  })
}

async function completed({ summary, load }: ListedCommand): Promise<CompletedCommand> {
  return { ...(await load()), summary }
}
