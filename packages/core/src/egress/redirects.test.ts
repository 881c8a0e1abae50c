import { describe, expect, it } from 'vitest'
import { createKest } from '../index.js'
import { MockIdentityProvider, MockPolicyEngine } from '../testing/index.js'
import { RedirectsSeen } from './redirects.js'

const FROM = new URL('http://hop2:8000/a/b')
const kest = createKest({ identity: new MockIdentityProvider(), engine: new MockPolicyEngine() })
const newState = async () => (await kest.begin({ operation: 'op', policy: 'p', origin: 'system' })).state

describe('K-REDIRECT RedirectsSeen', () => {
  it('knows a place once, however the answer spelled it, and in no other state', async () => {
    const [seen, state, other] = [new RedirectsSeen(), await newState(), await newState()]
    seen.note(state, FROM, ['c?x=1#part'])
    const place = new URL('http://hop2:8000/a/c?x=1')
    expect(seen.take(other, place)).toBe(false)
    expect([seen.take(state, place), seen.take(state, place)]).toEqual([true, false])
  })

  it('knows the last thousand of a state that goes on, and no more', async () => {
    const [seen, state] = [new RedirectsSeen(), await newState()]
    seen.note(state, FROM, ['/again'])
    for (let n = 0; n < 1500; n++) seen.note(state, FROM, [`/${n}`, '/again'])
    const taken = Array.from({ length: 1500 }, (_, n) => seen.take(state, new URL(`/${n}`, FROM)))
    expect(taken.indexOf(true)).toBe(501)
    expect(taken.filter(Boolean)).toHaveLength(999)
    expect(seen.take(state, new URL('/again', FROM))).toBe(true)
  })
})
