import { X509Certificate } from 'node:crypto'
import { type JsonValue, type KestEntry, LABEL, type ParsedEntry } from '@kest/core'
import { visible, visibleList } from '../terminal/escape.js'
import type { Field } from '../terminal/fields.js'
import { timeText } from '../terminal/time-text.js'
import { decidedByLines } from './decided-by.js'
import { shortHash } from './short-hash.js'
import type { ShownEntry, ShownParent } from './shown-entry.js'

/** Labels that have a field of their own. */
const SHOWN_LABELS: ReadonlySet<string> = new Set([
  LABEL.principal,
  LABEL.traceId,
  LABEL.identity,
  LABEL.trustOverride,
  LABEL.sanitizer,
  LABEL.outcome,
  LABEL.receipts,
  LABEL.call,
])
const TIERS = ['enterprise', 'platform', 'app', 'function'] as const

/** What an entry claims, field by field. Fields that say nothing are left out. */
export function entryFields({ index, parents }: ShownEntry, { header, entry }: ParsedEntry): Field[] {
  const { labels } = entry
  return [
    ['entry_id', entry.entry_id],
    ['time', timeText(entry.timestamp_ms)],
    ['principal', visible(labels[LABEL.principal] ?? '')],
    ['signed', signedText(header)],
    ...optional('certs', ...(header.x5c ?? []).map(certificateText)),
    ...optional('parents', ...parents.map((parent) => parentText(parent, index))),
    ['class', visible(entry.classification)],
    ['trust', trustText(entry)],
    ...optional('taints', ...taintLines(entry)),
    ...optional('identity', ...identityLines(labels[LABEL.identity])),
    ...optional('policies', ...policyLines(entry)),
    ...optional('decided by', ...decidedByLines(entry)),
    ...optional('deviations', ...deviationLines(entry)),
    ...optional('outcome', ...present(labels[LABEL.outcome])),
    ...optional('receipts', ...receiptLines(labels[LABEL.receipts])),
    ...optional('call', ...present(labels[LABEL.call])),
    ...optional('trace', ...present(labels[LABEL.traceId])),
    ...optional('labels', ...labelLines(entry)),
    ...optional('content', ...present(entry.content_hash)),
    ...optional('input', ...present(entry.input_hash)),
    ...optional('environment', ...jsonLines(entry.environment)),
    ...optional('otel', ...jsonLines(entry.otel_context)),
    ...optional('metadata', ...jsonLines(entry.metadata)),
    ['runtime', visible(`${entry.runtime.name} ${entry.runtime.version}`)],
  ]
}

/** Hashes of what was held of others (K-RECEIPT). */
function receiptLines(label: string | undefined): readonly string[] {
  return label === undefined ? [] : label.split(',').map(visible)
}

function optional(label: string, ...lines: readonly string[]): Field[] {
  return lines.length === 0 ? [] : [[label, ...lines]]
}

function present(text: string | undefined): readonly string[] {
  return text === undefined || text === '' ? [] : [visible(text)]
}

function signedText({ alg, kid, x5c }: ParsedEntry['header']): string {
  if (x5c !== undefined) return `${alg}, ${x5c.length} ${x5c.length === 1 ? 'certificate' : 'certificates'}`
  return kid === undefined ? alg : `${alg}, key ${visible(kid)}`
}

/** Whom a certificate names, and when it is valid: as it says itself. */
function certificateText(base64: string): string {
  let certificate: X509Certificate
  try {
    const der = Buffer.from(base64, 'base64')
    certificate = new X509Certificate(der)
    // It would show the PEM that another certificate carries.
    if (!certificate.raw.equals(der)) return 'cannot be read'
  } catch {
    return 'cannot be read'
  }
  const { subjectAltName, subject, validFrom, validTo } = certificate
  const name = subjectAltName ?? (subject ?? 'no name').replaceAll('\n', ', ')
  return `${visible(name)}, from ${timeText(Date.parse(validFrom))} to ${timeText(Date.parse(validTo))}`
}

function parentText({ hash, index }: ShownParent, child: number): string {
  const where = index === null ? ' (not in this passport)' : index >= child ? ' (comes later)' : ''
  return `${shortHash(hash)}${where}`
}

function trustText({ trust_score: score, labels }: KestEntry): string {
  const override = labels[LABEL.trustOverride]
  const how = override === undefined ? '' : `, overridden with ${visible(override)}`
  return `${score} claimed${how}, not verified`
}

function taintLines({ taints, added_taints: added, removed_taints: removed, labels }: KestEntry): string[] {
  const sanitizer = labels[LABEL.sanitizer] === 'true' ? ', as a sanitizer' : ''
  return [
    ...(taints.length === 0 ? [] : [visibleList(taints)]),
    ...(added.length === 0 ? [] : [`added ${visibleList(added)}`]),
    ...(removed.length === 0 ? [] : [`removed ${visibleList(removed)}${sanitizer}`]),
  ]
}

/** The label is JSON of its three members: the entry would not have been read otherwise. */
function identityLines(label: string | undefined): string[] {
  if (label === undefined) return []
  const members = Object.entries(JSON.parse(label) as Record<string, string | null>)
  return members.flatMap(([name, value]) => (value === null ? [] : [`${name} ${visible(value)}`]))
}

function policyLines({ policy_context: context }: KestEntry): string[] {
  return TIERS.flatMap((tier) => {
    const policies = context[`${tier}_policies`]
    return policies.length === 0 ? [] : [`${tier}: ${visibleList(policies)}`]
  })
}

function deviationLines({ policy_context: { deviations } }: KestEntry): string[] {
  return deviations.map(
    ({ policy, tier, reason, approver }) =>
      `${visibleList([policy])} (${visible(tier)}), approved by ${visibleList([approver])}: ${visible(reason)}`,
  )
}

function labelLines(entry: KestEntry): string[] {
  const hasTexts = decidedByLines(entry).length > 0
  return Object.entries(entry.labels)
    .filter(([name]) => !SHOWN_LABELS.has(name) && !(hasTexts && name === LABEL.revisions))
    .map(([name, value]) => `${visibleList([name])} = ${visible(value)}`)
}

function jsonLines(value: JsonValue): string[] {
  const text = JSON.stringify(value)
  return text === '{}' || text === 'null' ? [] : [visible(text)]
}
