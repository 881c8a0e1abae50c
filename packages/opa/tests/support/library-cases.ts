import type { PolicyContext } from '@kest/core'
import type { contextOf } from './context.js'

type Part = Parameters<typeof contextOf>[0]

const [WEB, SHOP, JOBS] = ['web', 'shop', 'jobs/nightly'].map((name) => `spiffe://example.org/${name}`) as [
  string,
  string,
  string,
]
const SELF: PolicyContext['subject']['workload'] = 'spiffe://example.org/orders'

/** Parameters of the library, as `data.kest.parameters`. */
export const PARAMETERS = {
  kest: {
    parameters: {
      minimum_trust: { score: 40, classifications: { secret: 90 } },
      forbidden_taints: { taints: ['malware'], classifications: { secret: ['user_input'] } },
      required_hops: { principals: [WEB, SHOP] },
      confidentiality: { levels: ['public', 'system', 'secret'], clearances: { [SELF]: 'system' } },
      integrity: { classifications: { system: { trust: 40, taints: ['user_input'] } } },
      separation_of_duties: { attributes: ['requested_by', 'reviewers'] },
      separation_of_workloads: { excludes: { pay: ['approve'] } },
      allowed_callers: { callers: [WEB, 'spiffe://example.org/jobs/*'] },
      business_hours: {
        zone: 'Europe/Berlin',
        days: ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'],
        from: 0,
        to: 24,
      },
    },
  },
}

/** What policies are asked, and whether they allow it: the same from whatever engine has them. */
export const LIBRARY_CASES: readonly (readonly [policy: string, context: Part, allow: boolean])[] = [
  ['minimum_trust', { trust_score: 40 }, true],
  ['minimum_trust', { trust_score: 39 }, false],
  ['minimum_trust', { trust_score: 89, environment: { classification: 'secret' } }, false],

  ['forbidden_taints', { subject: { taints: ['user_input'] } }, true],
  ['forbidden_taints', { subject: { taints: ['user_input', 'malware'] } }, false],
  [
    'forbidden_taints',
    { subject: { taints: ['user_input'] }, environment: { classification: 'secret' } },
    false,
  ],

  ['required_hops', lineage([WEB, 'read'], [SHOP, 'read']), true],
  ['required_hops', lineage([SHOP, 'read'], [WEB, 'read']), false],
  ['required_hops', lineage([WEB, 'read']), false],

  ['no_read_up', {}, true],
  ['no_read_up', { environment: { classification: 'secret' } }, false],
  ['no_read_up', { subject: { workload: WEB } }, false],

  ['no_write_down', { lineage: { classifications: ['public', 'system'] } }, true],
  ['no_write_down', { lineage: { classifications: ['secret'] } }, false],
  ['no_write_down', { lineage: { classifications: ['unheard of'] } }, false],

  ['integrity', { trust_score: 40, subject: { taints: ['user_input'] } }, true],
  ['integrity', { trust_score: 39 }, false],
  ['integrity', { trust_score: 40, subject: { taints: ['llm'] } }, false],

  ['separation_of_duties', { object: { attributes: { requested_by: 'bob', reviewers: ['carol'] } } }, true],
  ['separation_of_duties', { object: { attributes: { requested_by: 'alice', reviewers: [] } } }, false],
  ['separation_of_duties', { object: { attributes: { requested_by: 'bob', reviewers: ['alice'] } } }, false],
  ['separation_of_duties', { object: { attributes: { requested_by: 'bob', reviewers: [] } } }, true],
  [
    'separation_of_duties',
    { object: { attributes: { requested_by: 'bob', reviewers: [{ id: 'alice' }] } } },
    false,
  ],
  ['separation_of_duties', { object: { attributes: { requested_by: 'bob', reviewers: [7] } } }, false],
  ['separation_of_duties', { object: { attributes: { requested_by: 'bob', reviewers: [null] } } }, false],
  ['separation_of_duties', {}, false],

  ['separation_of_workloads', { object: { id: 'pay' }, ...lineage([WEB, 'approve'], [SELF, 'read']) }, true],
  ['separation_of_workloads', { object: { id: 'pay' }, ...lineage([SELF, 'approve']) }, false],

  ['allowed_callers', lineage([SHOP, 'read'], [WEB, 'read']), true],
  ['allowed_callers', lineage([JOBS, 'read']), true],
  ['allowed_callers', lineage([WEB, 'read'], [SHOP, 'read']), false],
  ['allowed_callers', { ...lineage(), environment: { is_root: true } }, false],

  ['business_hours', {}, true],
  ['no_such_policy', {}, false],
]

function lineage(...done: readonly (readonly [principal: string, operation: string])[]): NonNullable<Part> {
  return {
    lineage: {
      depth: done.length,
      principals: done.map(([principal]) => principal),
      operations: done.map(([, operation]) => operation),
    },
  }
}
