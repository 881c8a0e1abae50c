import { canonicalize } from '../entry/canonicalize.js'
import {
  type JsonObject,
  type JsonValue,
  type KestEntry,
  LABEL,
  type PolicyContextRecord,
  ROOT_PARENT,
  SCHEMA_VERSION,
} from '../entry/entry.js'
import { KestConfigError } from '../errors.js'
import type { MessageRecord } from '../messages/message.js'
import type { Lineage } from '../passport/lineage.js'
import type { IdentityContext } from '../passport/verified.js'
import { type Following, followReceipts } from '../receipts/follow.js'
import type { Followed } from '../receipts/held-receipts.js'
import { formatIdentityLabel } from '../trust/identity-label.js'
import { forbidRaises, UNPROVEN_TAINT } from '../trust/reserved.js'
import { computeTaints } from '../trust/taints.js'
import { nameSigner, type OwnSpan, otelContextOf, RUNTIME } from './entry-parts.js'
import type { OperationDefinition } from './operation-definition.js'
import type { OperationValues } from './operation-options.js'
import { uuidV7 } from './random.js'
import type { HookRuntime } from './runtime.js'

const EMPTY: JsonObject = Object.freeze({})
const NONE: readonly string[] = Object.freeze([])
const ROOT: readonly string[] = Object.freeze([ROOT_PARENT])

/** What an entry is built from, beside what its operation is. */
export interface EntryFacts {
  readonly values: OperationValues
  readonly lineage: Lineage
  /** The origin of a root; of another entry only if the operation was given one. */
  readonly origin: string | undefined
  /** Whether the request came without lineage (K-OPTIONAL). */
  readonly unproven: boolean
  readonly principal: string
  /** The same, as an issuer of tokens has it. */
  readonly subject: { readonly iss: string; readonly sub: string } | undefined
  readonly identity: IdentityContext | null
  /** Whether the call, or a token, has stated every part of it (K-SWITCH). */
  readonly identityStated: boolean
  /** As a Txn-Token has it. */
  readonly txn: string | undefined
  /** The message that is handled, in the entry of its delivery (K-MESSAGE). */
  readonly message: MessageRecord | undefined
  /** What the caller has named the request by, in the entry that is its receipt (K-RECEIPT). */
  readonly call: string | undefined
  /** Hashes of receipts that the entry names. */
  readonly receipts: readonly string[]
  /** What is taken over from receipts. */
  readonly followed: readonly Followed[]
  readonly policies: PolicyContextRecord
  readonly traceId: string
  /** The audit span's own context, where something traces. */
  readonly span: OwnSpan | null
}

/** An entry whose labels may still get what is known only when it is signed. */
export type EntryDraft = KestEntry & { readonly labels: Record<string, string> }

/** Steps 5 to 7 of the lifecycle: trust, taints, and the entry with them. */
export function draftEntry(
  runtime: HookRuntime,
  definition: OperationDefinition,
  facts: EntryFacts,
): EntryDraft {
  const { values, lineage, identity, span } = facts
  const { removedTaints = NONE } = values
  const following = followingOf(facts)
  const addedTaints = addedBy(facts, following)
  const override = trustOverride(runtime, facts, following)

  const labels: Record<string, string> = { ...values.labels }
  nameSigner(labels, facts)
  if (identity !== null) {
    labels[LABEL.identity] = formatIdentityLabel(identity)
    if (facts.identityStated) labels[LABEL.identityStated] = 'true'
  }
  if (facts.txn !== undefined) labels[LABEL.txn] = facts.txn
  if (facts.call !== undefined) labels[LABEL.call] = facts.call
  if (facts.receipts.length > 0) labels[LABEL.receipts] = facts.receipts.join(',')
  if (facts.message !== undefined) recordMessage(facts.message, labels)
  if (values.resource !== undefined) labels[LABEL.resource] = canonicalize(values.resource)
  if (override !== undefined) labels[LABEL.trustOverride] = String(override)
  if (definition.sanitizer) labels[LABEL.sanitizer] = 'true'

  return {
    schema_version: SCHEMA_VERSION,
    runtime: RUNTIME,
    entry_id: uuidV7(),
    operation: definition.operation,
    classification: definition.classification,
    trust_score: override ?? Math.min(trustScore(runtime, facts), following.trustScore),
    parent_ids: lineage.length === 0 ? ROOT : lineage.tips.map((tip) => tip.hash),
    added_taints: addedTaints,
    removed_taints: removedTaints,
    taints: computeTaints(
      lineage.tips.map((tip) => tip.taints),
      addedTaints,
      removedTaints,
    ),
    labels,
    policy_context: facts.policies,
    environment: values.environment === undefined ? EMPTY : snapshot(values.environment),
    otel_context: otelContextOf(span),
    metadata: values.metadata === undefined ? null : snapshot(values.metadata),
    content_hash: values.contentHash ?? '',
    input_hash: values.inputHash ?? '',
    timestamp_ms: runtime.clock.now(),
  }
}

function recordMessage({ id, delivery }: MessageRecord, labels: Record<string, string>): void {
  if (id !== null) labels[LABEL.message] = id
  if (delivery.count !== undefined) labels[LABEL.delivery] = String(delivery.count)
  if (delivery.id !== undefined) labels[LABEL.place] = delivery.id
}

/** F-TS-05; but nothing raises what somebody began whose word is not taken (K-ROOTS). */
function trustOverride(runtime: HookRuntime, facts: EntryFacts, following: Following): number | undefined {
  const { values, lineage } = facts
  if (values.trustOverride === undefined) return undefined
  if (isUnproven(facts)) return 0
  const override = Math.min(100, Math.max(0, values.trustOverride), following.trustScore)
  const held = lineage.tips.some((tip) => forbidRaises(tip.taints))
  return held ? Math.min(override, trustScore(runtime, facts)) : override
}

/** K-OPTIONAL: what came without lineage is marked, and what follows it inherits the mark. */
function addedBy(
  { values: { addedTaints = NONE }, unproven, lineage }: EntryFacts,
  { addedTaints: followed }: Following,
): readonly string[] {
  const own = followed.length === 0 ? addedTaints : Object.freeze([...new Set([...addedTaints, ...followed])])
  if (!unproven || hasTaint(lineage, UNPROVEN_TAINT)) return own
  return Object.freeze([...own, UNPROVEN_TAINT])
}

const NOT_FOLLOWING: Following = Object.freeze({ trustScore: 100, addedTaints: NONE })

/** K-RECEIPT, `follow`: what came back is part of what comes next. */
function followingOf({ values: { removedTaints = NONE }, lineage, followed }: EntryFacts): Following {
  if (followed.length === 0) return NOT_FOLLOWING
  const inherited = new Set(lineage.tips.flatMap((tip) => tip.taints))
  return followReceipts(followed, [...inherited], removedTaints)
}

/** Whether nothing is trusted, whatever evaluator, override or origin say (K-OPTIONAL). */
function isUnproven({ unproven, lineage }: EntryFacts): boolean {
  return unproven || hasTaint(lineage, UNPROVEN_TAINT)
}

function hasTaint({ tips }: Lineage, taint: string): boolean {
  return tips.some(({ taints }) => taints.includes(taint))
}

/** SPEC §5: a root has its origin's score; every other entry scales the least of its parents' (effective) trust. */
function trustScore(runtime: HookRuntime, facts: EntryFacts): number {
  if (isUnproven(facts)) return 0
  const { origin, lineage } = facts
  const self = origin === undefined ? 100 : runtime.origins.score(origin)
  if (lineage.length === 0) return self
  const score = runtime.trustEvaluator.calculate(
    self,
    lineage.tips.map((tip) => tip.trustScore),
  )
  if (Number.isInteger(score) && score >= 0 && score <= 100) return score
  throw new KestConfigError(`trustEvaluator: expected an integer from 0 to 100, got ${String(score)}`)
}

/** A copy that its owner can no longer change. */
function snapshot<T extends JsonValue>(value: T): T {
  return JSON.parse(canonicalize(value)) as T
}
