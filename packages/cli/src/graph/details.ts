import type { AuditedEntry, Denial, SignedDenial } from '@kest/audit'
import { DEFAULT_LIMITS, parseEntry } from '@kest/core'
import { bounded } from '../bounded.js'
import { entryFields } from '../show/entry-fields.js'
import { timeText } from '../terminal/time-text.js'
import { type DetailSection, type NodeStatus, STATUS } from './graph-node.js'
import { plain, plainList, unstacked } from './plain.js'

/** Characters of a value that strangers write: a picture of many long ones would open nowhere. */
const MAX_VALUE = 2_000
/** Fields of an entry that the first section says with what the audit made of them. */
const JUDGED: ReadonlySet<string> = new Set(['principal', 'trust', 'parents', 'identity'])
const SOURCES = { span: null, passport: 'a passport', foreign: 'another trace' } as const

/** What the audit made of an entry, what is signed in it, and by what anybody can check that. */
export function entryDetails(one: AuditedEntry, status: NodeStatus, whole: boolean): DetailSection[] {
  const { entry, hash, principal, trustScore, taints, identity, identityBy, failure, tip, source } = one
  const acts = Object.entries(identity ?? {}).flatMap(([name, value]) =>
    value === null ? [] : `${name} ${plain(value)}`,
  )
  const parsed = parseEntry(one.jws, { limits: DEFAULT_LIMITS })
  const signed = entryFields({ index: 0, hash, content: parsed, parents: [], tip }, parsed)
  return [
    section('Verdict', [
      ['verdict', failure === null ? STATUS[status] : `${STATUS[status]} (${failure})`],
      ['operation', plain(entry.operation)],
      ['principal', plain(principal)],
      ['acts', acts.length === 0 ? null : acts.join(', ')],
      ['stated by', acts.length === 0 || identityBy === null ? null : plain(identityBy)],
      ['trust', trustScore === null ? null : `${trustScore} (claimed ${entry.trust_score})`],
      ['taints', taints.length === 0 ? null : plainList(taints)],
      ['tip', tip ? 'yes: nothing builds on it' : null],
      ['source', SOURCES[source]],
    ]),
    section(
      'Signed in the entry',
      signed
        .filter(([label]) => !JUDGED.has(label))
        .map(([label, ...lines]) => [label, unstacked(lines.join('\n'))]),
    ),
    section('Proof', [
      ['hash', hash],
      ['parents', entry.parent_ids.join('\n')],
      ['entry', whole ? one.jws : `${one.jws.length} characters, in the export`],
    ]),
  ]
}

export function denialDetails(denial: Denial): DetailSection[] {
  const { operation, workloadId, entryId, code, reason, service, place, parents, signed } = denial
  if (signed !== null) return signedDetails(denial, signed)
  return [
    section('What the span says', [
      [
        'verdict',
        denial.proof === 'failed' ? `${STATUS.denied}; its signed denial does not hold` : STATUS.denied,
      ],
      ['operation', operation && plain(operation)],
      ['workload', workloadId && plain(workloadId)],
      ['service', service && plain(service)],
      ['code', code && plain(code)],
      ['reason', reason && plain(reason)],
      ['entry_id', entryId && plain(entryId)],
      ['parents', parents.length === 0 ? null : parents.join('\n')],
      ['read in', plain(place)],
    ]),
  ]
}

/** Facts, and beside them what only the span says. */
function signedDetails(denial: Denial, signed: SignedDenial): DetailSection[] {
  const { operation, workloadId, entryId, code, reason, service, place, parents } = denial
  return [
    section('Signed in the denial', [
      ['verdict', STATUS.refused],
      ['operation', operation && plain(operation)],
      ['principal', workloadId && plain(workloadId)],
      ['code', code && plain(code)],
      ['policies', signed.policies.length === 0 ? null : plainList(signed.policies)],
      ['denial_id', entryId],
      ['built on', parents.length === 0 ? null : parents.join('\n')],
      ['time', timeText(signed.timestampMs)],
      ['number', signed.number],
      ['unsigned', signed.unsigned === 0 ? null : `${signed.unsigned} before it were refused and not signed`],
    ]),
    section('What the span says', [
      ['service', service && plain(service)],
      ['reason', reason && plain(reason)],
      ['read in', plain(place)],
    ]),
    section('Proof', [
      ['hash', signed.hash],
      ['denial', `${signed.jws.length} characters, in the export`],
    ]),
  ]
}

function section(
  heading: string,
  fields: readonly (readonly [label: string, value: string | null])[],
): DetailSection {
  return {
    heading,
    fields: fields.flatMap(([label, value]) =>
      value === null ? [] : [[label, label === 'entry' ? value : shown(value)] as const],
    ),
  }
}

function shown(value: string): string {
  return value.length <= MAX_VALUE ? value : `${bounded(value, MAX_VALUE)}… (${value.length} characters)`
}
