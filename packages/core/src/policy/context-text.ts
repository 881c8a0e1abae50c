import { canonicalize } from '../entry/canonicalize.js'
import { sha256Hex } from '../entry/hash.js'
import { quote } from '../entry/quote.js'
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

function wholeText(
  { subject, object: asked, environment, identity, trust_score, lineage }: PolicyContext,
  recorded: string | undefined,
): string {
  const workload = quote(identity)
  // One without attributes is recorded without them, and asked with none.
  const object = recorded?.startsWith('{"attributes":') ? recorded : undefined
  return (
    `{"environment":{"active_deviations":${deviations(environment)},"classification":${quote(environment.classification)}` +
    `,"is_root":${environment.is_root},"parent_hash":${quote(environment.parent_hash)}` +
    `,"source_type":${quote(environment.source_type)}},"identity":${workload},"lineage":${lineageText(lineage)}` +
    `,"object":${object ?? `{"attributes":${attributes(asked)},"id":${quote(asked.id)}}`}` +
    `,"subject":{"agent":${nullable(subject.agent)},"identity_by":${nullable(subject.identity_by)}` +
    `,"taints":${list(subject.taints)},"task":${nullable(subject.task)},"trust_score":${subject.trust_score}` +
    `,"user":${nullable(subject.user)},"workload":${subject.workload === identity ? workload : quote(subject.workload)}}` +
    `,"trust_score":${trust_score}}`
  )
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
