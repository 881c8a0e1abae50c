import { FILE_ATTACKS } from './file/index.js'
import { BINDINGS, type Binding, type HopAttack } from './hop/attack.js'
import { HOP_ATTACKS } from './hop/index.js'
import { type Outcome, outcomeText } from './outcome.js'

/** What SECURITY.md says of all attacks: it follows from the list that the tests follow from. */
export function tables(): string {
  return [
    '### Declared undetectable',
    'A hop with a valid identity, or whoever it lets read along:',
    hopUndetectable(),
    'Whoever may write the exported file, alone or with a workload that helps:',
    fileUndetectable(),
    '### A hop with a valid identity of its own',
    ...HOP_ATTACKS.flatMap(({ title, attacks }) => [
      `#### ${title}`,
      table(
        ['attack', 'no binding', '`hop`', '`mtls`', 'because'],
        attacks.map((one) => [one.attack, ...cells(one), one.why]),
      ),
    ]),
    '### Whoever may write the exported file',
    ...FILE_ATTACKS.flatMap(({ title, attacks }) => [
      `#### ${title}`,
      table(
        ['attack', 'audit', 'because'],
        attacks.map(({ attack, outcome, why }) => [attack, outcomeText(outcome), why]),
      ),
    ]),
  ].join('\n\n')
}

/** Most attacks end in the same way everywhere. */
function cells(attack: HopAttack): string[] {
  const texts = BINDINGS.map((binding) => outcomeText(attack[binding]))
  return texts.map((text, n) => (n > 0 && text === texts[n - 1] && text.length > 1 ? 'the same' : text))
}

function hopUndetectable(): string {
  const rows = HOP_ATTACKS.flatMap(({ attacks }) => attacks)
  return rows
    .map((one) => ({ one, where: BINDINGS.filter((binding) => isUndetectable(one[binding])) }))
    .filter(({ where }) => where.length > 0)
    .map(({ one, where }) => `- ${one.attack} (${whereText(where)})`)
    .join('\n')
}

function whereText(where: readonly Binding[]): string {
  if (where.length === BINDINGS.length) return 'always'
  return where.map((one) => (one === 'none' ? 'without a binding' : `with \`${one}\``)).join(', ')
}

function fileUndetectable(): string {
  const rows = FILE_ATTACKS.flatMap(({ attacks }) => attacks)
  return rows
    .filter(({ outcome }) => isUndetectable(outcome))
    .map(({ attack }) => `- ${attack}`)
    .join('\n')
}

function isUndetectable({ kind }: Outcome): boolean {
  return kind === 'undetectable'
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(columns), `|${'---|'.repeat(columns.length)}`, ...rows.map(line)].join('\n')
}
