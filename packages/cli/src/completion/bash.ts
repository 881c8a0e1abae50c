import { type CompletedCommand, flagsOf, GLOBAL_FLAGS, wordsOf } from './words.js'

/** What bash reads: words where there are some to choose from, else files, as readline does it by itself. */
export function bashCompletion(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name)
  return `# bash completion of kest: source <(kest completion bash)
_kest() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} words='' i IFS=$' \\t\\n'
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do [[ \${COMP_WORDS[i]} == -- ]] && return; done
  # Of --format=html bash makes three words.
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $previous == '=' ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if ((COMP_CWORD == 1)); then
    words='${[...names, 'help', ...GLOBAL_FLAGS].join(' ')}'
  else
    case \${COMP_WORDS[1]} in
      help) words='${names.join(' ')}' ;;
${commands.map(caseOf).join('')}    esac
  fi
  [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$current" || :))
  return 0
}
complete -o default -F _kest kest
`
}

function caseOf({ name, options, verbs, arguments: positionals }: CompletedCommand): string {
  const all = Object.entries(options)
  const chosen = all.flatMap(([option, one]) => {
    const words = wordsOf(one)
    return words === undefined ? [] : `          ${pattern(option, one)}) words='${words.join(' ')}' ;;\n`
  })
  const others = all.filter(([, one]) => one.type === 'string' && wordsOf(one) === undefined)
  const any =
    others.length === 0
      ? ''
      : `          ${others.map(([option, one]) => pattern(option, one)).join('|')}) ;;\n`
  const flags = all.map(([option]) => `--${option}`).join(' ')
  const words = Array.isArray(positionals)
    ? ` else words='${positionals.join(' ')}';`
    : verbs === undefined
      ? ''
      : ` elif ((COMP_CWORD == 2)); then words='${verbs.join(' ')}';`
  return `      ${name})
        case $previous in
${chosen.join('')}${any}          *) if [[ $current == -* ]]; then words='${flags}';${words} fi ;;
        esac
        ;;
`
}

function pattern(name: string, option: CompletedCommand['options'][string]): string {
  return flagsOf(name, option).join('|')
}
