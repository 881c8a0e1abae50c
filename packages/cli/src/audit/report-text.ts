import type { AuditFinding, AuditSummary, Denial, TraceReport, Verdict } from '@kest/audit'
import { LABEL, parseRevisionsLabel } from '@kest/core'
import { revisionText } from '../show/decided-by.js'
import type { Colors } from '../terminal/colors.js'
import { visible } from '../terminal/escape.js'
import { auditTable } from './table.js'

/** Lines of one finding's text that are shown: strangers write into it. */
const MAX_MESSAGE = 400
const MARKS = { error: '✗', warning: '!', note: '·' } as const

/** A trace for a terminal: its verdict, its table, what is to be known. */
export function reportText(report: TraceReport, colors: Colors): string {
  const { traceId, verdict, entries, denials, denialCount, findings, time } = report
  const name = traceId === null ? 'entries without a trace' : `trace ${traceId}`
  const lines = [
    `${colors.bold(name)}: ${colored(verdict, findings, colors)}${domainText(entries)}`,
    ...(entries.length === 0 ? [] : auditTable(entries, colors)).map((line) => `  ${line}`),
    ...textsOf(entries).map((line) => `  ${colors.dim(line)}`),
    ...findings.map((one) => `  ${findingText(one, colors)}`),
    ...denials.map((denial) => `  ${colors.dim(`${DENIED[denial.proof]}: ${denialText(denial)}`)}`),
    ...(denialCount > denials.length
      ? [`  ${colors.dim(`and ${number(denialCount - denials.length)} more denials`)}`]
      : []),
    ...(time === 'witnessed' ? [`  ${colors.dim('times are witnessed by who received the spans')}`] : []),
  ]
  return `${lines.join('\n')}\n\n`
}

const DENIED = {
  signed: 'refused, as is signed',
  unsigned: 'denied, as an unsigned span says',
  failed: 'denied, as a span says whose signed denial does not hold',
} as const

/** Texts of a trace that are named. */
const MAX_TEXTS = 8

/** Which texts of policies have decided in it. */
function textsOf(entries: TraceReport['entries']): readonly string[] {
  const texts = new Set<string>()
  for (const { entry } of entries) {
    const label = entry.labels[LABEL.revisions]
    if (label === undefined) continue
    for (const list of parseRevisionsLabel(label)?.values() ?? []) for (const one of list) texts.add(one)
  }
  const shown = [...texts].sort().slice(0, MAX_TEXTS)
  const more = texts.size - shown.length
  return [
    ...shown.map((text) => `decided by ${revisionText(text)}`),
    ...(more > 0 ? [`and by ${more} more texts`] : []),
  ]
}

const DOMAIN = /^spiffe:\/\/([^/]+)\//

/** The table has services without their trust domains, of which each has its own `payments`. */
function domainText(entries: TraceReport['entries']): string {
  const domains = new Set(entries.flatMap(({ principal }) => DOMAIN.exec(principal)?.[1] ?? []))
  return domains.size === 0 ? '' : `, in ${[...domains].sort().map(visible).join(' and ')}`
}

/** A line for each finding, each with its end. */
export function findingLines(findings: readonly AuditFinding[], colors: Colors): string {
  return findings.map((one) => `${findingText(one, colors)}\n`).join('')
}

function findingText(one: AuditFinding, colors: Colors): string {
  const { code, severity, message, place, cause } = one
  const color = severity === 'error' ? colors.red : severity === 'warning' ? colors.yellow : colors.dim
  const text = visible(message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message)
  const where = place === null ? '' : ` ${colors.dim(`(${visible(place)})`)}`
  return `${color(`${MARKS[severity]} ${code}`)}: ${text}${cause === null ? '' : ` ${colors.dim(cause)}`}${where}`
}

function denialText({ operation, workloadId, code, signed }: Denial): string {
  const parts = [
    operation ?? 'an operation',
    ...(workloadId === null ? [] : [`by ${workloadId}`]),
    code ?? 'no code',
    ...(signed === null || signed.unsigned === 0 ? [] : [`${number(signed.unsigned)} before it not signed`]),
  ]
  return parts.map((part) => visible(part.slice(0, MAX_MESSAGE))).join(', ')
}

function colored(verdict: Verdict, findings: readonly AuditFinding[], colors: Colors): string {
  const text = verdict === 'empty' ? 'no entry, no proof' : verdict
  if (verdict !== 'verified') return verdict === 'broken' ? colors.red(text) : colors.yellow(text)
  return findings.some(({ severity }) => severity !== 'note') ? colors.yellow(text) : colors.green(text)
}

/** What all of it amounts to. */
export function summaryText(summary: AuditSummary, colors: Colors): string {
  const { traces, verdicts, entries, spans, otherSpans, denials, findings, general } = summary
  const ends = (Object.entries(verdicts) as [Verdict, number][]).filter(([, count]) => count > 0)
  const kept = findingLines(general, colors)
  const counts = [...findings].map(([code, count]) => `  ${String(count).padStart(7)}  ${code}\n`)
  const others = otherSpans === 0 ? '' : `, and ${number(otherSpans)} spans of others`
  return [
    kept === '' ? '' : `${kept}\n`,
    `${number(traces)} traces: ${ends.map(([of, count]) => `${number(count)} ${of}`).join(', ') || 'none'}\n`,
    `${number(entries)} entries and ${number(denials)} denials, in ${number(spans)} spans${others}\n`,
    ...(counts.length === 0 ? ['no findings\n'] : ['findings:\n', ...counts]),
  ].join('')
}

function number(value: number): string {
  return value.toLocaleString('en')
}
