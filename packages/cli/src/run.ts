import { readFileSync } from 'node:fs'
import { suggestion } from './arguments/suggest.js'
import { UsageError } from './arguments/usage-error.js'
import type { Command, Io } from './command.js'
import { audit } from './commands/audit.js'
import { dev } from './commands/dev.js'
import { evidence } from './commands/evidence.js'
import { graph } from './commands/graph.js'
import { show } from './commands/show.js'
import { verify } from './commands/verify.js'
import { EXIT } from './exit-code.js'

const COMMANDS: readonly Command[] = [verify, show, audit, evidence, graph, dev]

const HELP = `Usage: kest COMMAND [arguments]

Reads and checks the signed lineage of requests, and runs services that sign it in
development.

Commands:
${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`).join('\n')}

  kest COMMAND --help   what a command takes
  kest --version        the version of this program
`

/**
 * Runs what the arguments ask for.
 *
 * @param argv without the program's own name
 * @throws {UsageError} when they make no sense
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const [word, ...rest] = argv
  switch (word) {
    case undefined:
      throw new UsageError('which command?')
    case '--help':
    case '-h':
      return print(HELP, io)
    case 'help':
      return print(rest[0] === undefined ? HELP : find(rest[0]).help, io)
    case '--version':
    case '-V':
      return print(`${version()}\n`, io)
    default:
      return await find(word).run(rest, io)
  }
}

function find(word: string): Command {
  const command = COMMANDS.find(({ name }) => name === word)
  if (command !== undefined) return command
  const kind = word.startsWith('-') ? 'option' : 'command'
  const choices = kind === 'option' ? ['--help', '--version'] : COMMANDS.map(({ name }) => name)
  throw new UsageError(`unknown ${kind} ${word}${suggestion(word, choices)}`)
}

async function print(text: string, io: Io): Promise<number> {
  await io.stdout.write(text)
  return EXIT.holds
}

function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
