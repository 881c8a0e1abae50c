import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kidOf, pseudonymOf, sameName } from './pseudonym.js'
import type { PseudonymSubject } from './pseudonym-keys.js'

const key = {
  kid: '2030-a_1',
  key: Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex'),
}
const alice: PseudonymSubject = {
  part: 'user',
  issuer: 'https://id.example.org',
  tenant: 'acme',
  name: 'alice',
}

describe('a pseudonym', () => {
  it('K-PSEUDONYM is kest-p1, the kid, and the HMAC of part, issuer, tenant and name as RFC 8785 has them', () => {
    const said = '["user","https://id.example.org","acme","alice"]'
    const mac = createHmac('sha256', key.key).update(said).digest('base64url')
    expect(pseudonymOf(key, alice)).toBe(`kest-p1.2030-a_1.${mac}`)
  })

  it.each<[string, Partial<PseudonymSubject>, string]>([
    ['of a user', {}, 'kest-p1.2030-a_1.NIxUZmt-hq7EZFDc1gtesbpSbavCfTlsO5mjEY1xmEg'],
    ['of an agent', { part: 'agent' }, 'kest-p1.2030-a_1.JCBocFfpp7F5XRVm9uuEDz3S7i7uMeSzMZFs-DUc-E8'],
    ['of nobody’s tenant', { tenant: null }, 'kest-p1.2030-a_1.Z3jjlem5sHyLER4rgl1xPdqoAkwDoRIzK0wvG6hN40Y'],
    [
      'of no issuer',
      { issuer: null, tenant: null },
      'kest-p1.2030-a_1.PCpVs77C1HAx5ed4v_ClYUT-BvM2BPwrSoy5ZBGMdP0',
    ],
    [
      'of a name that JSON escapes',
      { name: 'a"\u0000\u2028é😀' },
      'kest-p1.2030-a_1.qcYyn4HrUp1gpUajXUiEaUoMuCKDrK69_1e7U0V__2I',
    ],
  ])('K-PSEUDONYM is this one, for whoever implements it: %s', (_, more, expected) => {
    expect(pseudonymOf(key, { ...alice, ...more })).toBe(expected)
  })

  it('K-PSEUDONYM differs by key, part, issuer, tenant and name, however they are put together', () => {
    const text = fc.oneof(fc.constantFrom('', 'a', '","', '\\', 'null'), fc.string({ unit: 'grapheme' }))
    const subject = fc.record({
      part: fc.constantFrom('user' as const, 'agent' as const, 'task' as const),
      issuer: fc.option(text),
      tenant: fc.option(text),
      name: text,
    })
    fc.assert(
      fc.property(subject, subject, (one, other) => {
        const same = JSON.stringify(one) === JSON.stringify(other)
        expect(pseudonymOf(key, one) === pseudonymOf(key, other)).toBe(same)
      }),
    )
    const another = { kid: key.kid, key: Buffer.alloc(32, 7) }
    expect(pseudonymOf(another, alice)).not.toBe(pseudonymOf(key, alice))
  })

  it.each(['name', 'issuer', 'tenant'] as const)(
    'K-PSEUDONYM is refused of a lone surrogate in the %s',
    (member) => {
      expect(() => pseudonymOf(key, { ...alice, [member]: 'a\ud800' })).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_NOT_JSON' }),
      )
    },
  )

  it('K-PSEUDONYM says its kid, and has one spelling', () => {
    const good = pseudonymOf(key, alice)
    expect(kidOf(good)).toBe('2030-a_1')
    expect(kidOf(good.replace('2030-a_1', 'k'.repeat(64)))).toBe('k'.repeat(64))
    const mac = good.slice(-43)
    // The last character has two bits that say nothing.
    const twin = `${good.slice(0, -1)}${String.fromCharCode((good.at(-1) as string).charCodeAt(0) + 1)}`
    for (const wrong of [
      'alice',
      '',
      'kest-p1.',
      'kest-p1.k',
      'kest-p1..',
      `kest-p1..${mac}`,
      `kest-p1.k.${mac}=`,
      `kest-p1.k.${mac.slice(1)}`,
      `kest-p1.k.${mac}a`,
      `kest-p1.k.l.${mac}`,
      `kest-p1.k l.${mac}`,
      `kest-p1.ä.${mac}`,
      `kest-p1.${'k'.repeat(65)}.${mac}`,
      `kest-p1.${'k'.repeat(1_048_576)}.${mac}`,
      `kest-p1.${'.'.repeat(1_048_576)}`,
      `KEST-P1.k.${mac}`,
      `kest-p2.k.${mac}`,
      ` ${good}`,
      `${good}\n`,
      twin,
    ])
      expect(kidOf(wrong), wrong.slice(0, 80)).toBeNull()
  })

  it('K-PSEUDONYM is the same as itself and as nothing else', () => {
    const good = pseudonymOf(key, alice)
    expect(sameName(good, pseudonymOf(key, alice))).toBe(true)
    for (const other of [pseudonymOf(key, { ...alice, name: 'bob' }), 'alice', `${good}x`, 'kest-p1.é'])
      expect([sameName(good, other), sameName(other, good)]).toEqual([false, false])
    expect([sameName('alice', 'alice'), sameName('alice', 'Alice')]).toEqual([true, false])
  })
})
