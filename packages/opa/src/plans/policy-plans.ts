import { KestConfigError } from '@kest/core'
import { type Combination, isPlannable, PLAN_MEMBER, PLAN_PACKAGE, planName, sizeOf } from './format.js'

const HEAD = `# Joins the policies that are asked together into one question each. Written by "kest policies plan", from the names of
# the policies alone: write it anew when those of an operation change. Each plan has the digest of what it joins for a name,
# and each policy in it sees what it would see alone.
package ${PLAN_PACKAGE}

import rego.v1
`

/** Of Rego: a member of that name stands in brackets. */
const KEYWORDS: ReadonlySet<string> = new Set(
  'as contains default else every false if import in not null package some true with'.split(' '),
)

/**
 * One file of Rego with a plan for each combination, which OPA loads beside the policies: an {@link OPAPolicyEngine} with
 * `plans` then asks one question for all policies of an operation. The same text for the same combinations, whatever
 * their order, and how often they are named. Combinations of one document alone need no plan, and have none.
 *
 * @param combinations what is asked together: for each question its documents, as {@link OPAPolicyEngine.plans} says them
 * @throws {KestConfigError} for what is no list of lists of lists of paths, and for a path of which no plan can be made: each of its
 *   members begins with a letter or `_`, and goes on with those, digits, `.`, `:` and `-`
 *
 * @example
 * ```ts
 * policyPlans([[['enterprise/no_embargo'], ['platform/minimum_trust'], ['orders/read', 'orders/own']]])
 * ```
 */
export function policyPlans(combinations: readonly Combination[]): string {
  if (!Array.isArray(combinations)) throw new KestConfigError('policyPlans: expected a list of combinations')
  const plans = new Map<string, string>()
  for (const combination of combinations) {
    assertCombination(combination)
    if (sizeOf(combination) > 1) plans.set(planName(combination), planOf(combination))
  }
  const sorted = [...plans].sort(([one], [other]) => (one < other ? -1 : 1))
  return [HEAD, ...sorted.map(([, text]) => text)].join('\n')
}

function planOf(combination: Combination): string {
  const name = planName(combination)
  let place = 0
  const rules = combination.flatMap((paths, question) =>
    paths.map((path) => {
      const document = `${reference(path)} with input as input.contexts[${question}]`
      return `${name}["${place++}"] := value if value := ${document}`
    }),
  )
  const title = combination.map((paths) => paths.join(', ')).join(' | ')
  const own = `# ${title}\n${name}["${PLAN_MEMBER}"] := "${name}"`
  return `${[own, ...rules].join('\n\n')}\n`
}

/** As `opa fmt` writes it. */
function reference(path: string): string {
  const members = path.split('/').map((member) => (isName(member) ? `.${member}` : `["${member}"]`))
  return `data${members.join('')}`
}

function isName(member: string): boolean {
  return /^\w+$/.test(member) && !KEYWORDS.has(member)
}

/** @throws {KestConfigError} */
function assertCombination(combination: unknown): asserts combination is Combination {
  if (!Array.isArray(combination) || !combination.every((paths) => Array.isArray(paths)))
    throw new KestConfigError('policyPlans: expected a combination to be a list of lists of paths')
  for (const path of combination.flat(1) as unknown[]) {
    if (typeof path !== 'string' || !isPlannable(path))
      throw new KestConfigError(`policyPlans: no plan can be made of the path ${JSON.stringify(path)}`)
  }
}
