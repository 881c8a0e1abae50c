import type { Option } from '../arguments/options.js'
import { briefOf, type CompletedCommand, quoted, wordsOf } from './words.js'

/** What fish reads. */
export function fishCompletion(commands: readonly CompletedCommand[]): string {
  const named = commands.map(
    ({ name, summary }) => `complete -c kest -n __fish_use_subcommand -a ${name} -d ${text(summary)}\n`,
  )
  const names = commands.map(({ name }) => name).join(' ')
  return `# fish completion of kest: kest completion fish | source
complete -c kest -f
${named.join('')}complete -c kest -n __fish_use_subcommand -a help -d 'what a command takes'
complete -c kest -n __fish_use_subcommand -l help -d 'what there is'
complete -c kest -n __fish_use_subcommand -l version -d 'the version of this program'
complete -c kest -n '__fish_seen_subcommand_from help' -a ${text(names)}
${commands.map(linesOf).join('')}`
}

function linesOf({ name, options, verbs = [], arguments: positionals }: CompletedCommand): string {
  const within = `complete -c kest -n '__fish_seen_subcommand_from ${name}'`
  const rest = Array.isArray(positionals) ? `-a ${text(positionals.join(' '))}` : '-F'
  const lines = Object.entries(options).map(([option, one]) => `${within} ${optionOf(option, one)}\n`)
  const verb = `complete -c kest -n '__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${verbs.join(' ')}'`
  const first = verbs.length === 0 ? '' : `${verb} -a ${text(verbs.join(' '))}\n`
  return `${first}${within} ${rest}\n${lines.join('')}`
}

function optionOf(name: string, option: Option): string {
  const words = wordsOf(option)
  const value =
    words === undefined ? (option.choices === 'file' ? ' -r -F' : ' -x') : ` -x -a ${text(words.join(' '))}`
  const short = option.short === undefined ? '' : ` -s ${option.short}`
  return `-l ${name}${short}${option.type === 'boolean' ? '' : value} -d ${text(briefOf(option))}`
}

function text(words: string): string {
  return quoted(words.replaceAll('\\', '\\\\'), "\\'")
}
