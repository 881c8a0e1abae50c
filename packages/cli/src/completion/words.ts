import type { Option } from '../arguments/options.js'
import type { Command } from '../command.js'
import type { ListedCommand } from '../commands/all.js'

/** What a shell is told of a command. */
export type CompletedCommand = Pick<ListedCommand, 'name' | 'summary'> &
  Pick<Command, 'options' | 'verbs' | 'arguments'>

/** Options of the program itself. */
export const GLOBAL_FLAGS = ['--help', '--version'] as const

/** `--output`, and `-o` where it has a short one. */
export function flagsOf(name: string, { short }: Option): string[] {
  return [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]
}

/** The words that an option's value may be; `undefined` for any text, and for files. */
export function wordsOf({ choices }: Option): readonly string[] | undefined {
  return choices === 'file' ? undefined : choices
}

/** What an option is for: the beginning of its help. */
export function briefOf({ help }: Option): string {
  return (/^.+?(?=[.:;](?:\s|$))/s.exec(help)?.[0] ?? help).replace(/\s+/g, ' ').trim()
}

/** A text between single quotes, as these shells read it. */
export function quoted(text: string, quote = "'\\''"): string {
  return `'${text.replaceAll("'", quote)}'`
}
