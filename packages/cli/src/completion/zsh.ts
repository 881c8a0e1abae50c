import type { Option } from '../arguments/options.js'
import { briefOf, type CompletedCommand, flagsOf, quoted, wordsOf } from './words.js'

/** What zsh reads: as a file `_kest` of its `fpath`, or where its completion is set up already. */
export function zshCompletion(commands: readonly CompletedCommand[]): string {
  const described = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}\n`)
  return `#compdef kest
# zsh completion of kest: source <(kest completion zsh), behind compinit
_kest_value() {
  # Of TRUST-DOMAIN=FILE, what is a file.
  compset -P '*='
  _files
}
_kest() {
  local -a commands=(
${described.join('')}    'help:what a command takes'
  )
  if ((CURRENT == 2)); then
    _describe -t commands command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
    help) _describe -t commands command commands ;;
${commands.map(caseOf).join('')}  esac
}
if [[ $funcstack[1] == _kest ]]; then _kest "$@"; else compdef _kest kest; fi
`
}

function caseOf({ name, options, verbs = [], arguments: positionals }: CompletedCommand): string {
  const specs = Object.entries(options).flatMap(([option, one]) => specsOf(option, one))
  const verb = verbs.length === 0 ? [] : [wordSpec(verbs)]
  const rest = [...verb, ...restOf(positionals)]
  const lines = [...specs, ...rest].map((spec) => `        ${quoted(spec)}`)
  return `    ${name})
      _arguments -S \\
${lines.join(' \\\n')}
      ;;
`
}

function restOf(positionals: CompletedCommand['arguments']): readonly string[] {
  if (positionals === 'files') return ['*:file:_files']
  if (positionals === 'command') return ['(-)1:command: _command_names -e', '*::arguments:_normal']
  return [wordSpec(positionals)]
}

function wordSpec(words: readonly string[]): string {
  return `1:word:(${words.join(' ')})`
}

function specsOf(name: string, option: Option): string[] {
  const { type, value, multiple } = option
  const again = multiple === true ? '*' : ''
  const description = briefOf(option).replace(/[[\]:\\]/g, '\\$&')
  const words = wordsOf(option)
  const action =
    words === undefined ? (option.choices === 'file' ? '_kest_value' : ' ') : `(${words.join(' ')})`
  const argument = type === 'boolean' ? '' : `:${(value ?? '').replaceAll(':', '\\:')}:${action}`
  return flagsOf(name, option).map((flag) => {
    const joined = type === 'string' && flag.startsWith('--') ? '=' : ''
    return `${again}${flag}${joined}[${description}]${argument}`
  })
}
