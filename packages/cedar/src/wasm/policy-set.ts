import { KestConfigError } from '@kest/core'
import type { Cedar, PolicyJson } from './cedar.js'
import { refuse } from './diagnostics.js'
import type { NamedText } from './source.js'

/** Policies by their ids, as text and as what the text means. */
export interface PolicySet {
  readonly texts: Readonly<Record<string, string>>
  readonly parsed: readonly PolicyJson[]
}

/**
 * Takes texts apart into policies. A policy is called what its annotation `@id("…")` says, else `policy` and its place
 * among all of them, from 0.
 *
 * @throws {KestConfigError} naming text, line and column of what is no Cedar; for templates, which nothing here fills in;
 *   for an id that occurs twice, and for no policy at all
 */
export function parsePolicies(cedar: Cedar, sources: readonly NamedText[]): PolicySet {
  const texts = new Map<string, string>()
  const parsed: PolicyJson[] = []
  for (const { name, text } of sources) {
    for (const policy of partsOf(cedar, name, text)) {
      const answer = cedar.policyToJson(policy)
      if (answer.type === 'failure') refuse(name, answer.errors)
      const id = answer.json.annotations?.['id'] ?? `policy${texts.size}`
      if (texts.has(id)) throw new KestConfigError(`${name}: two policies are called "${id}"`)
      texts.set(id, policy)
      parsed.push(answer.json)
    }
  }
  if (texts.size === 0) throw new KestConfigError('CedarWasmEngine.policies: there is no policy')
  return { texts: Object.fromEntries(texts), parsed }
}

/** In the order of the text: Cedar gives them in that of their ids. */
function partsOf(cedar: Cedar, name: string, text: string): readonly string[] {
  const parts = cedar.policySetTextToParts(text)
  if (parts.type === 'failure') refuse(name, parts.errors, text)
  if (parts.policy_templates.length > 0) {
    throw new KestConfigError(`${name}: templates are not supported: write policies`)
  }
  const ids = parts.policies.map((_, index) => `policy${index}`).sort()
  const inOrder: string[] = []
  for (const [index, policy] of parts.policies.entries()) {
    inOrder[Number((ids[index] as string).slice('policy'.length))] = policy
  }
  return inOrder
}
