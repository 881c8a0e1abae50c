import { describe, expect, it } from 'vitest'
import { PassportVerificationError } from '../src/errors.js'
import { parseEvidence, verifyEvidence } from '../src/passport/evidence.js'
import { vectors } from './support/signed.js'

interface Vector {
  readonly passport: readonly unknown[]
  readonly expect?: {
    readonly ok: boolean
    readonly index?: number | null
    readonly tips?: readonly string[]
    readonly principals?: readonly string[]
  }
}

type Verdict =
  | {
      readonly ok: true
      readonly tips: readonly string[]
      readonly principals: readonly string[]
      readonly findings: number
    }
  | { readonly ok: false; readonly code: string; readonly index: number | null }

async function verify(text: string): Promise<Verdict> {
  try {
    const { passport } = await verifyEvidence(parseEvidence(text))
    const { tips, principals, findings } = passport
    return { ok: true, tips: tips.map(({ hash }) => hash), principals, findings: findings.length }
  } catch (error) {
    if (!(error instanceof PassportVerificationError)) throw error
    return { ok: false, code: error.code, index: error.index }
  }
}

/** The first entry that carries certificates; `undefined` when none does. */
function firstCertified({ passport }: Vector): number | undefined {
  if (!Array.isArray(passport)) return undefined
  const index = passport.findIndex(
    (jws) =>
      typeof jws === 'string' && Buffer.from(jws.split('.')[0] as string, 'base64url').includes('"x5c"'),
  )
  return index === -1 ? undefined : index
}

describe('passports made by an independent implementation', () => {
  const all = vectors('passports').map(({ name, text }) => ({
    name,
    text,
    vector: JSON.parse(text) as Vector,
  }))

  it('are all there', () => {
    expect(all).toHaveLength(54)
    expect(all.filter(({ vector }) => firstCertified(vector) !== undefined)).toHaveLength(10)
  })

  it.each(all.filter(({ vector }) => firstCertified(vector) === undefined))(
    'NF-INTER-01 $name',
    async ({ text, vector }) => {
      const verdict = await verify(text)
      expect(verdict.ok).toBe(vector.expect?.ok)
      if (verdict.ok) {
        if (vector.expect?.tips) expect([...verdict.tips].sort()).toEqual([...vector.expect.tips].sort())
        if (vector.expect?.principals) expect(verdict.principals).toEqual(vector.expect.principals)
      } else {
        expect(verdict.index).toBe(vector.expect?.index)
      }
    },
  )

  it.each(all.filter(({ vector }) => firstCertified(vector) !== undefined))(
    'K-X5C $name needs trust that this package has no reader for',
    async ({ text, vector }) => {
      expect(await verify(text)).toEqual({
        ok: false,
        code: 'ERR_KEST_CERTIFICATE_UNSUPPORTED',
        index: firstCertified(vector),
      })
    },
  )
})

describe('passports made by the Python implementation of the protocol', () => {
  const all = vectors('interop')

  it.each(all)('NF-INTER-01 $name verifies', async ({ text }) => {
    const { passport } = JSON.parse(text) as Vector
    const verdict = await verify(text)
    expect(verdict).toMatchObject({ ok: true, findings: 0 })
    expect(passport.length).toBeGreaterThan(0)
  })
})
