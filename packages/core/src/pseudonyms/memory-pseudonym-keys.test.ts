import { describe, expect, it } from 'vitest'
import { MemoryPseudonymKeys } from './memory-pseudonym-keys.js'

const alice = { issuer: 'https://id.test', tenant: 'acme', name: 'alice' }
const bob = { ...alice, name: 'bob' }

describe('keys for pseudonyms in memory', () => {
  it('K-PSEUDONYM are one for each tenant, or one for each person', () => {
    const [tenants, users] = [new MemoryPseudonymKeys(), new MemoryPseudonymKeys({ per: 'user' })]
    expect(tenants.current(alice)).toBe(tenants.current(bob))
    expect(tenants.current({ ...alice, tenant: null })).not.toEqual(tenants.current(alice))
    expect(users.current(alice)).toBe(users.current({ ...alice }))
    for (const other of [bob, { ...alice, issuer: null }, { ...alice, tenant: null }])
      expect(users.current(other)).not.toEqual(users.current(alice))
    expect(users.current(alice).key).toHaveLength(32)
    expect(users.current(alice).kid).not.toContain('alice')
  })

  it('K-PSEUDONYM are rotated: whom the former named is still found', () => {
    const keys = new MemoryPseudonymKeys()
    const first = keys.current(alice)
    const second = keys.rotate({ tenant: 'acme' })
    expect(keys.current(alice)).toBe(second)
    expect(keys.all(alice)).toEqual([first, second])
    expect([keys.find(first.kid, alice), keys.find(second.kid, alice)]).toEqual([first, second])
    expect(keys.find(first.kid, { tenant: 'other' })).toBeNull()
  })

  it('K-PSEUDONYM are destroyed, one or all, and whoever comes again is somebody else', () => {
    const keys = new MemoryPseudonymKeys({ per: 'user' })
    const first = keys.current(alice)
    const second = keys.rotate(alice)
    const others = keys.current(bob)
    expect(keys.destroy(alice, first.kid)).toBe(1)
    expect([keys.find(first.kid, alice), keys.current(alice)]).toEqual([null, second])
    expect(keys.destroy(alice)).toBe(1)
    expect(keys.destroy(alice)).toBe(0)
    expect(keys.find(second.kid, alice)).toBeNull()
    expect(keys.current(alice).key).not.toEqual(second.key)
    expect(keys.current(bob)).toBe(others)
  })

  it('K-PSEUDONYM are of so many owners, and none is forgotten to make room', () => {
    const keys = new MemoryPseudonymKeys({ per: 'user', max: 1 })
    const first = keys.current(alice)
    expect(() => keys.current(bob)).toThrow(expect.objectContaining({ code: 'ERR_KEST_KEYS_UNAVAILABLE' }))
    keys.rotate(alice)
    expect(keys.find(first.kid, alice)).toBe(first)
    keys.destroy(alice)
    expect(keys.current(bob).key).toHaveLength(32)
  })

  it('K-PSEUDONYM are of somebody: an owner that is misspelled destroys nothing in silence', () => {
    const keys = new MemoryPseudonymKeys({ per: 'user' })
    keys.current(alice)
    for (const owner of [
      { tenant: 'acme' },
      { ...alice, name: undefined },
      { ...alice, nmae: 'alice' },
      null,
    ])
      expect(() => keys.destroy(owner as never)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    expect(() => new MemoryPseudonymKeys().destroy({} as never)).toThrow(/expected an owner/)
  })

  it.each([{ per: 'all' }, { max: 0 }, { max: 1.5 }])('refuses %o', (options) => {
    expect(() => new MemoryPseudonymKeys(options as never)).toThrow(/MemoryPseudonymKeys/)
  })
})
