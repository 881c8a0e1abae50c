import { readFileSync } from 'node:fs'
import { suggestion } from './arguments/suggest.js'
import { UnknownOption, UsageError } from './arguments/usage-error.js'
import type { Command, Io } from './command.js'
import { audit } from './commands/audit.js'
import { completionOf } from './commands/completion.js'
import { deploy } from './commands/deploy.js'
import { dev } from './commands/dev.js'
import { doctor } from './commands/doctor.js'
import { evidence } from './commands/evidence.js'
import { graph } from './commands/graph.js'
import { init } from './commands/init.js'
import { policies } from './commands/policies.js'
import { replay } from './commands/replay.js'
import { show } from './commands/show.js'
import { verify } from './commands/verify.js'
import { EXIT } from './exit-code.js'

const WORKING: readonly Command[] = [
  verify,
  show,
  audit,
  evidence,
  graph,
  replay,
  init,
  deploy,
  dev,
  doctor,
  policies,
]
const COMMANDS: readonly Command[] = [...WORKING, completionOf(WORKING)]

const HELP = `Usage: kest COMMAND [arguments]

Reads and checks the signed lineage of requests, and runs services that sign it in
development.

Commands:
${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`).join('\n')}

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
      return await runCommand(find(word), rest, io)
  }
}

/** @throws {UsageError} that names the commands which take an option, where this one does not */
async function runCommand(command: Command, argv: readonly string[], io: Io): Promise<number> {
  try {
    return await command.run(argv, io)
  } catch (error) {
    if (!(error instanceof UnknownOption)) throw error
    const { option } = error
    const takers = COMMANDS.filter(({ options }) => Object.hasOwn(options, option.replace(/^--/, '')))
    if (takers.length > 0) error.message += `; it is one of kest ${takers.map(({ name }) => name).join(', ')}`
    throw error
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
