import { describe, expect, it } from 'vitest'
import { chain, strings, trustIn } from '../../tests/support/signed.js'
import { PassportVerificationError } from '../errors.js'
import { Passport, parsePassport } from './passport.js'
import { SignatureCache } from './signature-cache.js'
import { verifyPassport } from './verify.js'

const trust = trustIn('hop1', 'hop2', 'hop3')
const passport = new Passport(
  strings(
    chain(
      { by: 'hop1' },
      { by: 'hop2', taints: ['pii'], added_taints: ['pii'] },
      { by: 'hop3', taints: ['pii'] },
    ),
  ),
)

/** Signatures of entries that were not touched are remembered, so that only the altered one costs anything. */
const cache = new SignatureCache()

async function isRefused(altered: () => Passport): Promise<boolean> {
  try {
    await verifyPassport(altered(), { trust, cache, threads: 'inline' })
    return false
  } catch (error) {
    if (error instanceof PassportVerificationError) return true
    throw error
  }
}

describe('tampering', () => {
  it('F-PA-06 refuses a passport in which any one bit was flipped', async () => {
    await verifyPassport(passport, { trust, cache })
    const bytes = Buffer.from(`${passport}`)
    const accepted: string[] = []
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        bytes[at] = (bytes[at] as number) ^ (1 << bit)
        const altered = Buffer.from(bytes)
        if (!(await isRefused(() => parsePassport(altered)))) accepted.push(`byte ${at}, bit ${bit}`)
        bytes[at] = (bytes[at] as number) ^ (1 << bit)
      }
    }
    expect(accepted).toEqual([])
    expect(bytes.toString()).toBe(`${passport}`)
    expect(await isRefused(() => parsePassport(bytes))).toBe(false)
  })

  it('K-STRICT refuses a passport in which the last character of a segment is any other', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const accepted: string[] = []
    for (const [index, jws] of passport.entries.entries()) {
      const segments = jws.split('.')
      for (const [position, segment] of segments.entries()) {
        for (const character of alphabet) {
          if (segment.endsWith(character)) continue
          const spelled = segments.with(position, segment.slice(0, -1) + character).join('.')
          if (!(await isRefused(() => new Passport(passport.entries.with(index, spelled))))) {
            accepted.push(`entry ${index}, segment ${position}, ${character}`)
          }
        }
      }
    }
    expect(accepted).toEqual([])
  })

  it('F-PA-07 refuses a passport from which any entry but the last was taken', async () => {
    for (let index = 0; index < passport.length - 1; index++) {
      expect(await isRefused(() => new Passport(passport.entries.toSpliced(index, 1)))).toBe(true)
    }
  })
})
