import type { Readable } from 'node:stream'
import { HELP_OPTION, type Options, optionsHelp } from './arguments/options.js'
import { parseArguments } from './arguments/parse.js'
import { UsageError } from './arguments/usage-error.js'
import { EXIT } from './exit-code.js'
import type { Output } from './terminal/output.js'
import type { StatusLine } from './terminal/status-line.js'

/** What a command may touch of the process. */
export interface Io {
  readonly stdin: Readable
  readonly stdout: Output
  /** For what is not the result. */
  readonly stderr: Output
  /** What is going on, for whoever waits at a terminal. */
  readonly status: StatusLine
}

/** What is said of a command. */
export interface About {
  readonly name: string
  /** What follows `kest <name>`, one a line. */
  readonly usage: readonly string[]
  /** What it does, in lines. */
  readonly about: string
  /** What its first argument must be, where it comes before what `arguments` says. */
  readonly verbs?: readonly string[]
  /** What its arguments may be: one of these words, or files; or another command with its own, which comes behind `--`. */
  readonly arguments: readonly string[] | 'files' | 'command'
  /** Whole command lines. */
  readonly examples: readonly string[]
  readonly exitStatus: string
}

/** One word after `kest`. */
export interface Command extends About {
  readonly options: Options
  /** What `kest <name> --help` prints. */
  readonly help: string
  /**
   * @param argv what follows the name
   * @returns the exit status of the process
   * @throws {UsageError} for arguments that it does not take
   */
  run(argv: readonly string[], io: Io): Promise<number>
}

type Arguments<T extends Options> = ReturnType<typeof parseArguments<T>> & {
  /** Of a command that takes another: what is behind `--`. */
  readonly other: readonly string[]
}

/** A command that answers `--help` by itself, and whose mistakes in usage name it. */
export function defineCommand<const T extends Options>(
  about: About,
  own: T,
  run: (given: Arguments<T>, io: Io) => Promise<number>,
): Command {
  const options = { ...own, ...HELP_OPTION }
  const help = helpOf(about, options)
  return {
    ...about,
    options,
    help,
    async run(argv, io) {
      try {
        const end = about.arguments === 'command' && argv.includes('--') ? argv.indexOf('--') : argv.length
        const parsed = parseArguments<Options>(argv.slice(0, end), options)
        const given = { ...(parsed as Omit<Arguments<T>, 'other'>), other: argv.slice(end + 1) }
        if (parsed.values['help'] !== true) return await run(given as Arguments<T>, io)
      } catch (error) {
        if (error instanceof UsageError) error.command = about.name
        throw error
      }
      await io.stdout.write(help)
      return EXIT.holds
    },
  }
}

function helpOf({ name, usage, about, examples, exitStatus }: About, options: Options): string {
  const [first, ...others] = usage.map((line) => `kest ${name} ${line}`)
  return [
    `Usage: ${first}\n${others.map((line) => `       ${line}\n`).join('')}`,
    `${about.trim()}\n`,
    optionsHelp(options),
    `Examples:\n${examples.map((line) => `  ${line}\n`).join('')}`,
    `Exit status: ${exitStatus.trim()}\n`,
  ].join('\n')
}
