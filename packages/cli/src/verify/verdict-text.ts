import { STDIN } from '../files/read.js'
import type { Colors } from '../terminal/colors.js'
import { visible, visibleList } from '../terminal/escape.js'
import { type Field, formatFields } from '../terminal/fields.js'
import { type Fails, type Holds, tipHashes, type Verdict } from './verdict.js'

/** A few lines for one file, to be read on a terminal. */
export function verdictText(verdict: Verdict, colors: Colors): string {
  const name = colors.bold(verdict.file === STDIN ? 'standard input' : visible(verdict.file))
  const fields = verdict.ok ? factsOf(verdict, colors) : faultOf(verdict, colors)
  const lines = formatFields(fields, colors).map((line) => `  ${line}\n`)
  return `${name}: ${headline(verdict, colors)}\n${lines.join('')}`
}

/** How many files came to which end. */
export class Tally {
  readonly #counts = new Map<Outcome, number>()
  #files = 0

  add(verdict: Verdict): void {
    const of = outcome(verdict)
    this.#files++
    this.#counts.set(of, (this.#counts.get(of) ?? 0) + 1)
  }

  /**
   * Nothing for one file that was shown.
   * @param shown how many were
   */
  text(shown: number): string {
    if (this.#files === 1 && shown === 1) return ''
    const parts = [...this.#counts].map(([of, count]) => `${count} ${count === 1 ? of : PLURAL[of]}`)
    const files = this.#files === 1 ? '1 file' : `${this.#files} files`
    return `${shown === 0 ? '' : '\n'}${files}: ${parts.join(', ')}\n`
  }
}

const PLURAL = {
  verified: 'verified',
  'consistent with its own keys': 'consistent with their own keys',
  'does not hold': 'do not hold',
  'not usable': 'not usable',
} as const

type Outcome = keyof typeof PLURAL

/** Only what was checked against trust of the verifier's own is called verified (K-ANCHOR). */
function outcome(verdict: Verdict): Outcome {
  if (verdict.ok) return verdict.anchored ? 'verified' : 'consistent with its own keys'
  return verdict.unusable ? 'not usable' : 'does not hold'
}

function headline(verdict: Verdict, colors: Colors): string {
  const text = outcome(verdict)
  if (!verdict.ok) return colors.red(text)
  const mark = verdict.passport.findings.length === 0 && verdict.anchored ? colors.green : colors.yellow
  return mark(text)
}

function factsOf(verdict: Holds, colors: Colors): Field[] {
  const { anchored, passport, denials } = verdict
  const { entries, principals, tips, trustScore, taints, identity, findings, time } = passport
  return [
    ['entries', String(entries.length)],
    ['principals', ...orNone(principals.map(visible))],
    [tips.length === 1 ? 'tip' : 'tips', ...orNone(tipHashes(verdict))],
    ...denials.map(({ denial: { principal, operation, code } }): Field => {
      return ['refused', `${visible(operation)}, by ${visible(principal)} ${colors.dim(visible(code))}`]
    }),
    ['trust', trustScore === null ? 'none' : String(trustScore)],
    ['taints', taints.length === 0 ? 'none' : visibleList(taints)],
    ...identityFields(identity),
    ['times', time === 'fixed' ? 'certificates judged at one fixed time' : 'self-asserted by the signers'],
    ...findings.map(
      ({ code, message }): Field => ['finding', `${colors.yellow(visible(message))} ${colors.dim(code)}`],
    ),
    ...(anchored ? [] : [OWN_KEYS]),
  ]
}

const OWN_KEYS: Field = [
  'note',
  'whoever wrote the file chose these keys; --trust FILE checks it against yours',
]

function identityFields(identity: Holds['passport']['identity']): Field[] {
  if (identity === null) return []
  return (['user', 'agent', 'task'] as const).flatMap((name): Field[] => {
    const value = identity[name]
    return value === null ? [] : [[name, visible(value)]]
  })
}

function faultOf({ code, message, entryId }: Fails, colors: Colors): Field[] {
  const fault: Field = ['fault', colors.red(visible(message)), colors.dim(code)]
  return entryId === null ? [fault] : [fault, ['entry_id', visible(entryId)]]
}

function orNone(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? ['none'] : lines
}
