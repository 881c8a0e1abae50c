import canonicalizeOracle from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { failure } from '../../tests/support/signed.js'
import { formatIdentityLabel, parseIdentityLabel, sameIdentity } from './identity-label.js'

const part = fc.option(fc.string({ unit: 'binary' }).filter((text) => !/\p{Surrogate}/u.test(text)))
const identity = fc.record({ user: part, agent: part, task: part })

describe('the label kest.identity', () => {
  it('K-IDENT F-IC-04 is RFC 8785 of agent, task and user, and comes back as it was', () => {
    expect(formatIdentityLabel({ user: 'alice', agent: null, task: 'a b' })).toBe(
      '{"agent":null,"task":"a b","user":"alice"}',
    )
    fc.assert(
      fc.property(identity, (any) => {
        const label = formatIdentityLabel(any)
        expect(label).toBe(canonicalizeOracle(any))
        expect(parseIdentityLabel(label)).toEqual(any)
      }),
    )
  })

  it('K-IDENT reads how peers spell it, and what they leave out', () => {
    expect(parseIdentityLabel('{"user": "alice", "agent": null}')).toEqual({
      user: 'alice',
      agent: null,
      task: null,
    })
    expect(parseIdentityLabel('{}')).toEqual({ user: null, agent: null, task: null })
  })

  it.each([
    ['no JSON', 'alice'],
    ['nothing', ''],
    ['null', 'null'],
    ['an array', '[]'],
    ['a number', '{"user":5}'],
    ['an object', '{"user":{}}'],
    ['another member', '{"user":"a","admin":"true"}'],
    ['a member of the prototype', '{"__proto__":"a"}'],
    ['a member twice', '{"user":"alice","user":"bob"}'],
    ['a member twice, escaped', '{"user":"alice","\\u0075ser":"bob"}'],
    ['a lone surrogate', '{"user":"\\ud800"}'],
  ])('K-STRICT refuses %s', async (_, label) => {
    expect((await failure(() => parseIdentityLabel(label))).code).toBe('ERR_KEST_ENTRY_SCHEMA')
  })

  it('compares what is said, and nothing is not everything null', () => {
    const alice = { user: 'alice', agent: null, task: null }
    expect(sameIdentity(alice, { ...alice })).toBe(true)
    expect(sameIdentity(null, null)).toBe(true)
    expect(sameIdentity(alice, null)).toBe(false)
    expect(sameIdentity(null, alice)).toBe(false)
    for (const name of ['user', 'agent', 'task'])
      expect(sameIdentity(alice, { ...alice, [name]: 'x' })).toBe(false)
  })
})
