import { KestError } from '@kest/core'
import { parseArguments } from '../arguments/parse.js'
import { UsageError } from '../arguments/usage-error.js'
import type { Command } from '../command.js'
import { EXIT, type ExitCode } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { readText } from '../files/read.js'
import { showJson } from '../show/show-json.js'
import { showText } from '../show/show-text.js'
import { parseShownPassport, readEntries } from '../show/shown-entry.js'

const OPTIONS = {
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

const HELP = `Usage: kest show FILE [options]

Shows the entries of a passport: of an evidence file, or of a passport alone (a JSON
array). "-" is standard input. Nothing is verified: it is what the file says.

  --json        everything, as one JSON object
  -h, --help    this text

Exit status: 0 all entries are shown, 1 some cannot be read, 2 the file holds no
passport or the command was used wrongly.
`

export const show: Command = {
  name: 'show',
  summary: 'show what a passport says, without verifying it',
  help: HELP,

  async run(argv, io): Promise<ExitCode> {
    const { values, positionals } = parseArguments(argv, OPTIONS)
    if (values.help) {
      await io.stdout.write(HELP)
      return EXIT.holds
    }
    const [file, ...others] = positionals
    if (file === undefined) throw new UsageError('which file? "-" is standard input')
    if (others.length > 0) throw new UsageError('one file at a time')
    const entries = readEntries(await readPassport(file, io.stdin))
    await io.stdout.write(values.json ? showJson(file, entries) : showText(entries, io.stdout.colors))
    return entries.some(({ content }) => content instanceof KestError) ? EXIT.fails : EXIT.holds
  },
}

async function readPassport(
  file: string,
  stdin: Parameters<typeof readText>[1],
): Promise<ReturnType<typeof parseShownPassport>> {
  try {
    return parseShownPassport(await readText(file, stdin))
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new InputError(`${file}: ${cause.message}`, { cause })
  }
}
