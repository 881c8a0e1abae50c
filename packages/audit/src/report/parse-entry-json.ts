import { type IdentityContext, KestError, LABEL, type Limits, parseEntry, ROOT_PARENT } from '@kest/core'
import { type AuditedEntry, serviceOf } from '../judge/audited-entry.js'
import { JsonMembers, malformed } from './json-members.js'

const STATUS = ['verified', 'signed', 'failed'] as const
const SOURCE = ['span', 'passport', 'foreign'] as const
const NONE: readonly string[] = Object.freeze([])

/** An entry of a trace, as it was written. What is signed is read from the signature. @throws {KestError} `ERR_KEST_EVIDENCE` */
export function parseEntryJson(untrusted: unknown, limits: Limits): AuditedEntry {
  const one = new JsonMembers(untrusted, 'an entry')
  const { jws, hash, entry } = signedIn(one.text('signature'), limits)
  if (one.hash('hash') !== hash) throw one.wrong('hash', `that of its signature, ${hash}`)
  const status = one.oneOf('status', STATUS)
  const failure = one.errorCode('failure')
  if ((failure !== null) !== (status === 'failed')) throw one.wrong('failure', `what goes with ${status}`)
  const trustScore = one.value('trust_score') === null ? null : one.count('trust_score')
  const taints = one.texts('taints')
  if (status !== 'verified' && (trustScore !== null || taints.length > 0))
    throw one.wrong('trust_score', 'none, for it is not verified')
  const principal = entry.labels[LABEL.principal] as string
  return Object.freeze({
    hash,
    jws,
    entry,
    entryId: entry.entry_id,
    parents: entry.parent_ids[0] === ROOT_PARENT ? NONE : entry.parent_ids,
    timestampMs: entry.timestamp_ms,
    status,
    principal,
    service: serviceOf(principal),
    trustScore,
    taints,
    identity: identityIn(one.value('identity')),
    identityBy: one.textOrNull('identity_by'),
    tip: one.flag('tip'),
    outcomeOf: one.has('outcome_of') ? one.hash('outcome_of') : null,
    spans: one.count('spans'),
    source: one.oneOf('source', SOURCE),
    claimedService: null,
    failure,
  } satisfies AuditedEntry)
}

function signedIn(signature: string, limits: Limits): ReturnType<typeof parseEntry> {
  try {
    return parseEntry(signature, { limits })
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw malformed(`an entry: signature: ${cause.message}`, cause)
  }
}

function identityIn(value: unknown): IdentityContext | null {
  if (value === null) return null
  const one = new JsonMembers(value, 'an identity')
  const [user, agent, task] = ['user', 'agent', 'task'].map((part) => one.textOrNull(part))
  return Object.freeze({ user, agent, task } as IdentityContext)
}
