/** An option of a command: how it is read, what its help says, and how a shell completes it. */
export interface Option {
  readonly type: 'boolean' | 'string'
  readonly short?: string
  readonly multiple?: boolean
  /** What its value is called, such as `FILE`; of an option that takes one. */
  readonly value?: string
  /** A sentence or more, of any length. */
  readonly help: string
  /** What its value may be: one of these words, or a file. */
  readonly choices?: readonly string[] | 'file'
}

/** Name → option, in the order of the help. */
export type Options = Readonly<Record<string, Option>>

export const HELP_OPTION = { help: { type: 'boolean', short: 'h', help: 'This text.' } } as const

const WIDTH = 96
const COLUMN = 22

/** The part of a help text that lists options. */
export function optionsHelp(options: Options): string {
  return Object.entries(options)
    .map(([name, option]) => optionHelp(flagOf(name, option), option.help))
    .join('')
}

function optionHelp(flag: string, help: string): string {
  const lines = wrapped(help, WIDTH - COLUMN)
  const indented = lines.map((line) => `${' '.repeat(COLUMN)}${line}\n`)
  if (flag.length > COLUMN - 2) return `${flag}\n${indented.join('')}`
  return flag.padEnd(COLUMN) + indented.join('').slice(COLUMN)
}

/** `  -o, --output FILE` */
function flagOf(name: string, { short, value }: Option): string {
  return `  ${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
}

/** Words in lines of a width; a longer word has one of its own. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1)
    if (line === undefined || line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines
}
