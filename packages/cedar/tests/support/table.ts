import type { Asked } from './requests.js'

/** Cedar that means the same to all versions since 2.4, by the ids of the policies. */
export const POLICIES: Readonly<Record<string, string>> = {
  readers: 'permit(principal, action == Action::"orders/read", resource) when { context.trust_score >= 40 };',
  'no-secrets': 'forbid(principal, action, resource) when { context.taints.contains("secret") };',
  listers: 'permit(principal, action == Action::"orders/list", resource);',
  everybody: 'permit(principal, action in [Action::"orders/list", Action::"open"], resource);',
  'of-the-shop':
    'permit(principal in Team::"all", action == Action::"team", resource) when { principal.level >= 3 };',
  owners:
    'permit(principal, action == Action::"own", resource) when { context has user && context.attributes has owner && context.attributes.owner == context.user };',
  'by-quotes': String.raw`permit(principal, action == Action::"say \"hi\" \\o/",
    resource == Resource::"\u{301}a\"b'c\\d\u{1f600}\t\r\n\0\u{200b}\u{e000}\u{a0} \u{e9}") when {
      context.object_id == "\u{301}a\"b'c\\d\u{1f600}\t\r\n\0\u{200b}\u{e000}\u{a0} \u{e9}"
    };`,
  'by-lineage':
    'permit(principal, action == Action::"lineage", resource) when { context.lineage.depth == 2 && context.lineage.principals.containsAll(["spiffe://kest.test/gateway", "spiffe://kest.test/billing"]) && context.lineage.classifications == ["confidential", "system"] };',
  'by-tier':
    'permit(principal, action == Action::"tiers", resource) when { context.policy_tier == "platform" && context.policy_names.contains("tiers") && context.active_deviations.contains({ policy: "p", tier: "platform", reason: "r", approver: "a" }) };',
  'by-number':
    'permit(principal, action == Action::"numbers", resource) when { context.attributes.most == 9007199254740991 && context.attributes.least == -9007199254740991 };',
  'by-shape':
    'permit(principal, action == Action::"shapes", resource) when { context.attributes["a b"][""] == [[], [{}]] && context.attributes.name like "é*\\*" };',
  'fails-to-permit':
    'permit(principal, action == Action::"reckless", resource) when { context.attributes.missing };',
  steady: 'permit(principal, action == Action::"shaky", resource);',
  'may-fail-to-forbid':
    'forbid(principal, action == Action::"shaky", resource) when { context.attributes.missing == 1 };',
}

/** As both Cedar's own JSON and the agent's have it. */
export const ENTITIES = [
  {
    uid: { type: 'Workload', id: 'spiffe://kest.test/orders' },
    attrs: { level: 3 },
    parents: [{ type: 'Team', id: 'shop' }],
  },
  {
    uid: { type: 'Workload', id: 'spiffe://kest.test/stranger' },
    attrs: { level: 9 },
    parents: [],
  },
  { uid: { type: 'Team', id: 'shop' }, attrs: {}, parents: [{ type: 'Team', id: 'all' }] },
  { uid: { type: 'Team', id: 'all' }, attrs: {}, parents: [] },
]

/** What comes out: an allow, a denial, or that there is no decision, with the policies of Cedar that had a part in it. */
export type Outcome = readonly ['allow' | 'deny' | 'none', ...string[]]

export interface Case {
  readonly policies: string | readonly string[]
  readonly asked?: Asked
  readonly outcome: Outcome
}

const object = (attributes: object): Asked => ({ object: { attributes: attributes as never } })

/** What is asked, and what comes of it: the same from whatever runs Cedar. */
export const CASES: Readonly<Record<string, Case>> = {
  'enough trust': { policies: 'orders/read', outcome: ['allow', 'readers'] },
  'too little trust': { policies: 'orders/read', asked: { trust_score: 39 }, outcome: ['deny'] },
  'a taint that is forbidden': {
    policies: 'orders/read',
    asked: { subject: { taints: ['pii', 'secret'] } },
    outcome: ['deny', 'no-secrets'],
  },
  'no taints': { policies: 'open', asked: { subject: { taints: [] } }, outcome: ['allow', 'everybody'] },
  'no such action': { policies: 'orders/write', outcome: ['deny'] },
  'two that allow': {
    policies: ['orders/list', 'orders/read'],
    outcome: ['allow', 'everybody', 'listers', 'readers'],
  },
  'one of two that does not allow': { policies: ['orders/list', 'orders/write'], outcome: ['deny'] },
  'a group, and an attribute of the principal': { policies: 'team', outcome: ['allow', 'of-the-shop'] },
  'a workload outside of the group': {
    policies: 'team',
    asked: { identity: 'spiffe://kest.test/stranger' },
    outcome: ['deny'],
  },
  'a workload that is no entity': {
    policies: 'team',
    asked: { identity: 'spiffe://kest.test/unheard-of' },
    outcome: ['deny'],
  },
  'its owner': { policies: 'own', asked: object({ owner: 'alice' }), outcome: ['allow', 'owners'] },
  'another owner': { policies: 'own', asked: object({ owner: 'bob' }), outcome: ['deny'] },
  'an owner that is null': { policies: 'own', asked: object({ owner: null }), outcome: ['deny'] },
  'nobody on whose behalf': {
    policies: 'own',
    asked: { subject: { user: null }, ...object({ owner: 'alice' }) },
    outcome: ['deny'],
  },
  'names that need escapes': {
    policies: 'say "hi" \\o/',
    asked: { object: { id: '\u0301a"b\'c\\d😀\t\r\n\0\u200b\ue000\u00a0 é', attributes: {} } },
    outcome: ['allow', 'by-quotes'],
  },
  'names that break out of quotes': { policies: 'x" || true || "', outcome: ['deny'] },
  'a lineage': { policies: 'lineage', outcome: ['allow', 'by-lineage'] },
  'an empty lineage': {
    policies: 'lineage',
    asked: { lineage: { depth: 0, principals: [], operations: [], classifications: [] } },
    outcome: ['deny'],
  },
  'a tier and a deviation': {
    policies: 'tiers',
    asked: {
      environment: {
        policy_tier: 'platform',
        policy_names: ['tiers'],
        active_deviations: [{ policy: 'p', tier: 'platform', reason: 'r', approver: 'a' }],
      },
    },
    outcome: ['allow', 'by-tier'],
  },
  'the largest numbers': {
    policies: 'numbers',
    asked: object({ most: Number.MAX_SAFE_INTEGER, least: Number.MIN_SAFE_INTEGER }),
    outcome: ['allow', 'by-number'],
  },
  'odd names, empty sets': {
    policies: 'shapes',
    asked: object({ 'a b': { '': [[], [{}, {}]] }, name: 'école*' }),
    outcome: ['allow', 'by-shape'],
  },
  'a permit that fails': { policies: 'reckless', outcome: ['deny', 'fails-to-permit'] },
  'a permit beside a forbid that fails': { policies: 'shaky', outcome: ['none', 'may-fail-to-forbid'] },
  'a permit beside a forbid that does not apply': {
    policies: 'shaky',
    asked: object({ missing: 2 }),
    outcome: ['allow', 'steady'],
  },
  'a forbid': { policies: 'shaky', asked: object({ missing: 1 }), outcome: ['deny', 'may-fail-to-forbid'] },
}
