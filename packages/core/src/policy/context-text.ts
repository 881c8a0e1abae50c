import { canonicalize } from '../entry/canonicalize.js'
import { sha256Hex } from '../entry/hash.js'
import { quote } from '../entry/quote.js'
import { KestError } from '../errors.js'
import { createPrivateSlot } from '../private-slot.js'
import type { IgnorableField } from './decision-key.js'
import type { PolicyContext } from './engine.js'

/**
 * What `kest.context` is the digest of (K-CONTEXT): the RFC 8785 text of a context without `environment.policy_names` and
 * `environment.policy_tier`, so that it is one for all that an operation asks. The same as {@link canonicalize} makes, faster because
 * the names are known.
 *
 * @param withheld what the engine did not see, and is left out of it
 * @param recorded the text of `object` as its entry records it (`kest.resource_attr`), if it does
 * @throws {KestError} `ERR_KEST_NOT_JSON` for a lone surrogate
 */
export function contextText(
  context: PolicyContext,
  withheld: ReadonlySet<IgnorableField>,
  recorded?: string,
): string {
  return withheld.size === 0 ? wholeText(context, recorded) : partText(context, withheld)
}

function wholeText(context: PolicyContext, recorded: string | undefined): string {
  const { asked, before, object, after } = sharedTexts.get(context)?.of(context) ?? partsOf(context)
  // One without attributes is recorded without them, and asked with none.
  const text = recorded?.startsWith('{"attributes":') ? recorded : object
  return `{"environment":{${asked}}${before}${text}${after}`
}

/** What an operation asks in all tiers, as RFC 8785 has it. */
interface TextParts {
  /** Of the environment, without what differs: the tier and its policies. */
  readonly asked: string
  /** Between that and the object. */
  readonly before: string
  readonly object: string
  readonly after: string
}

function askedText(environment: PolicyContext['environment']): string {
  return (
    `"active_deviations":${deviations(environment)},"classification":${quote(environment.classification)}` +
    `,"is_root":${environment.is_root},"parent_hash":${quote(environment.parent_hash)}` +
    `,"source_type":${quote(environment.source_type)}`
  )
}

function partsOf({ subject, object, environment, identity, trust_score, lineage }: PolicyContext): TextParts {
  const workload = quote(identity)
  return {
    asked: askedText(environment),
    object: `{"attributes":${attributes(object)},"id":${quote(object.id)}}`,
    before: `,"identity":${workload},"lineage":${lineageText(lineage)},"object":`,
    after:
      `,"subject":{"agent":${nullable(subject.agent)},"identity_by":${nullable(subject.identity_by)}` +
      `,"taints":${list(subject.taints)},"task":${nullable(subject.task)},"trust_score":${subject.trust_score}` +
      `,"user":${nullable(subject.user)},"workload":${subject.workload === identity ? workload : quote(subject.workload)}}` +
      `,"trust_score":${trust_score}}`,
  }
}

/** The text of what the contexts of one operation share, written when somebody first needs it. */
export class SharedText {
  #parts: TextParts | undefined

  of(context: PolicyContext): TextParts {
    this.#parts ??= partsOf(context)
    return this.#parts
  }
}

const sharedTexts = createPrivateSlot<PolicyContext, SharedText>()

/** That a context, which is not frozen yet, differs from others with the same text in `policy_names` and `policy_tier` alone. */
export function shareText(context: PolicyContext, text: SharedText): void {
  sharedTexts.set(context, text)
}

/**
 * A context as JSON, for engines that decide by its text: what `JSON.stringify` says, in another order of members. What an
 * operation's contexts have in common is written once, and is what their entry's `kest.context` is a digest of.
 *
 * @example
 * ```ts
 * const input = contextJson(request.context)
 * ```
 */
export function contextJson(context: PolicyContext): string {
  const parts = partsFor(context)
  if (parts === undefined) return JSON.stringify(context)
  const { asked, before, object, after } = parts
  const { policy_names, policy_tier } = context.environment
  return `{"environment":{${asked},"policy_names":${JSON.stringify(policy_names)},"policy_tier":"${policy_tier}"}${before}${object}${after}`
}

/** `undefined` for a context that somebody else made, or took from what a policy must not see, and for what RFC 8785 has no form for. */
function partsFor(context: PolicyContext): TextParts | undefined {
  try {
    return sharedTexts.get(context)?.of(context)
  } catch (error) {
    if (error instanceof KestError && error.code === 'ERR_KEST_NOT_JSON') return undefined
    throw error
  }
}

function partText(
  { subject, object, environment, identity, trust_score, lineage }: PolicyContext,
  withheld: ReadonlySet<IgnorableField>,
): string {
  const members = (...all: readonly (readonly [IgnorableField | null, string, string])[]): string => {
    const shown = all.filter(([field]) => field === null || !withheld.has(field))
    return `{${shown.map(([, name, text]) => `"${name}":${text}`).join(',')}}`
  }
  return members(
    [
      null,
      'environment',
      members(
        ['environment.active_deviations', 'active_deviations', deviations(environment)],
        ['environment.classification', 'classification', quote(environment.classification)],
        ['environment.is_root', 'is_root', String(environment.is_root)],
        ['environment.parent_hash', 'parent_hash', quote(environment.parent_hash)],
        ['environment.source_type', 'source_type', quote(environment.source_type)],
      ),
    ],
    [null, 'identity', quote(identity)],
    ['lineage', 'lineage', withheld.has('lineage') ? '' : lineageText(lineage)],
    [
      null,
      'object',
      members(
        ['object.attributes', 'attributes', withheld.has('object.attributes') ? '' : attributes(object)],
        ['object.id', 'id', quote(object.id)],
      ),
    ],
    [
      null,
      'subject',
      members(
        ['subject.agent', 'agent', nullable(subject.agent)],
        ['subject.identity_by', 'identity_by', nullable(subject.identity_by)],
        ['subject.taints', 'taints', list(subject.taints)],
        ['subject.task', 'task', nullable(subject.task)],
        ['trust_score', 'trust_score', String(subject.trust_score)],
        ['subject.user', 'user', nullable(subject.user)],
        [null, 'workload', quote(subject.workload)],
      ),
    ],
    ['trust_score', 'trust_score', String(trust_score)],
  )
}

/**
 * The label `kest.context` of an entry whose policies are asked this (K-CONTEXT): lowercase hex SHA-256 of the RFC 8785 text of the context,
 * without `environment.policy_names` and `environment.policy_tier`.
 *
 * @param withheld what the engine does not see
 * @param recorded the text of `object` as its entry records it (`kest.resource_attr`), if it does
 * @throws {KestError} `ERR_KEST_NOT_JSON` for a lone surrogate
 */
export function contextDigest(
  context: PolicyContext,
  withheld: ReadonlySet<IgnorableField> = NOTHING,
  recorded?: string,
): string {
  return sha256Hex(contextText(context, withheld, recorded))
}

const NOTHING: ReadonlySet<IgnorableField> = new Set()

function lineageText({ classifications, depth, operations, principals }: PolicyContext['lineage']): string {
  return `{"classifications":${list(classifications)},"depth":${depth},"operations":${list(operations)},"principals":${list(principals)}}`
}

function attributes({ attributes: of }: PolicyContext['object']): string {
  for (const _ in of) return canonicalize(of)
  return '{}'
}

function deviations({ active_deviations: all }: PolicyContext['environment']): string {
  return all.length === 0 ? '[]' : canonicalize(all)
}

function nullable(text: string | null): string {
  return text === null ? 'null' : quote(text)
}

function list(texts: readonly string[]): string {
  if (texts.length === 0) return '[]'
  const first = texts[0] as string
  let last = first
  let quoted = quote(first)
  let text = `[${quoted}`
  for (let i = 1; i < texts.length; i++) {
    const one = texts[i] as string
    // A workload's own operations follow each other.
    if (one !== last) {
      last = one
      quoted = quote(one)
    }
    text += `,${quoted}`
  }
  return `${text}]`
}
