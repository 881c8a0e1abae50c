import { readFileSync } from 'node:fs'
import { suggestion } from './arguments/suggest.js'
import { UnknownOption, UsageError } from './arguments/usage-error.js'
import type { Io } from './command.js'
import { COMMANDS, type ListedCommand } from './commands/all.js'
import { EXIT } from './exit-code.js'

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
      return print(rest[0] === undefined ? HELP : (await find(rest[0]).load()).help, io)
    case '--version':
    case '-V':
      return print(`${version()}\n`, io)
    default:
      return await runCommand(find(word), rest, io)
  }
}

/** @throws {UsageError} that names the commands which take an option, where this one does not */
async function runCommand(listed: ListedCommand, argv: readonly string[], io: Io): Promise<number> {
  const command = await listed.load()
  try {
    return await command.run(argv, io)
  } catch (error) {
    if (!(error instanceof UnknownOption)) throw error
    const { option } = error
    const commands = await Promise.all(COMMANDS.map(({ load }) => load()))
    const takers = commands.filter(({ options }) => Object.hasOwn(options, option.replace(/^--/, '')))
    if (takers.length > 0) error.message += `; it is one of kest ${takers.map(({ name }) => name).join(', ')}`
    throw error
  }
}

function find(word: string): ListedCommand {
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
