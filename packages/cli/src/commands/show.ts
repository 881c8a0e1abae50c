import { KestError, type Passport } from '@kest/core'
import type { Options } from '../arguments/options.js'
import { UsageError } from '../arguments/usage-error.js'
import { type About, type Command, defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { readText } from '../files/read.js'
import { showJson } from '../show/show-json.js'
import { showText } from '../show/show-text.js'
import { denialsText, readDenials, type ShownDenial } from '../show/shown-denial.js'
import { parseShownFile, parseShownPassport, readEntries } from '../show/shown-entry.js'

const OPTIONS = {
  json: { type: 'boolean', help: 'Everything, as one JSON object.' },
} as const satisfies Options

const ABOUT: About = {
  name: 'show',
  usage: ['FILE [options]'],
  about: `
Shows the entries of a passport: of an evidence file, with the denials beside it, or of a
passport alone (a JSON array). "-" is standard input. Nothing is verified: it is what the
file says.`,
  arguments: 'files',
  examples: ['kest show evidence.json', 'kest show evidence.json --json'],
  exitStatus: `0 all entries are shown, 1 some cannot be read, 2 the file holds no
passport or the command was used wrongly.`,
}

export const show: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals }, io) => {
  const [file, ...others] = positionals
  if (file === undefined) throw new UsageError('which file? kest show evidence.json; "-" is standard input')
  if (others.length > 0) throw new UsageError(`one file at a time: kest show ${file}`)
  const { passport, denials } = await readShown(file, io.stdin)
  const entries = readEntries(passport)
  const { colors } = io.stdout
  await io.stdout.write(
    values.json ? showJson(file, entries, denials) : showText(entries, colors) + denialsText(denials, colors),
  )
  const unreadable = [...entries.map(({ content }) => content), ...denials]
  return unreadable.some((one) => one instanceof KestError) ? EXIT.fails : EXIT.holds
})

async function readShown(
  file: string,
  stdin: Parameters<typeof readText>[1],
): Promise<{ readonly passport: Passport; readonly denials: readonly ShownDenial[] }> {
  try {
    const value = parseShownFile(await readText(file, stdin))
    return { passport: parseShownPassport(value), denials: readDenials(value) }
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new InputError(`${file}: ${cause.message}`, { cause })
  }
}
