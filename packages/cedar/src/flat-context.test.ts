import { describe, expect, it } from 'vitest'
import { contextOf } from '../tests/support/requests.js'
import { CONTEXT_MEMBERS, flatContext } from './flat-context.js'

describe('the flat context', () => {
  it('K-FLAT has these names and no others', () => {
    const deviation = { policy: 'p', tier: 'platform', reason: 'r', approver: 'a' }
    const context = contextOf({
      subject: { agent: 'agent', task: 'task' },
      object: { attributes: { owner: 'alice' } },
      environment: { active_deviations: [deviation] },
    })
    expect(flatContext(context)).toEqual({
      workload: 'spiffe://kest.test/orders',
      user: 'alice',
      agent: 'agent',
      task: 'task',
      identity_by: 'spiffe://kest.test/gateway',
      taints: ['pii', 'user_input'],
      object_id: 'order/7',
      attributes: { owner: 'alice' },
      is_root: false,
      source_type: 'internal',
      parent_hash: 'ab'.repeat(32),
      policy_names: ['orders/read'],
      policy_tier: 'function',
      active_deviations: [deviation],
      classification: 'system',
      identity: 'spiffe://kest.test/orders',
      trust_score: 40,
      lineage: context.lineage,
    })
  })

  it('K-FLAT attributes overwrite nothing, whatever they are called', () => {
    const attributes = Object.fromEntries(CONTEXT_MEMBERS.map((name) => [name, 'mine']))
    const flat = flatContext(contextOf({ object: { attributes } }))
    expect(flat).toEqual({ ...flatContext(contextOf()), attributes })
  })

  it('lacks what is null, so that policies ask with has', () => {
    const nobody = { user: null, agent: null, task: null, identity_by: null }
    const flat = flatContext(contextOf({ subject: nobody }))
    for (const name of Object.keys(nobody)) expect(flat).not.toHaveProperty(name)
  })

  it('lacks what a cache of decisions withheld', () => {
    const { trust_score: _, lineage: __, ...context } = contextOf()
    const flat = flatContext(context as never)
    expect(Object.keys(flat)).toEqual(CONTEXT_MEMBERS.filter((name) => name in flat))
    expect(flat).not.toHaveProperty('trust_score')
    expect(flat).not.toHaveProperty('lineage')
  })

  it('is made of what is looked at, when that is known', () => {
    const used = new Map<string, true | ReadonlyMap<string, true>>([
      ['trust_score', true],
      ['lineage', new Map([['depth', true]])],
      ['no_such_member', true],
      ['toString', true],
    ])
    expect(flatContext(contextOf(), used)).toEqual({ trust_score: 40, lineage: { depth: 2 } })
  })
})
