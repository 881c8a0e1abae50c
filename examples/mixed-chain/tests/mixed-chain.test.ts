import { parsePassport, verifyPassport } from '@kest/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Answer } from '../dist/answer.js'
import { CHAIN, type Chain, startChain } from '../dist/chain.js'

let chain: Chain
let passport: readonly string[]
beforeAll(async () => {
  chain = await startChain()
  const response = await fetch(`${chain.url}/orders/7`)
  const answer = (await response.json()) as Answer
  expect(answer).toMatchObject({ hops: CHAIN })
  passport = answer.passport
})
afterAll(() => chain?.close())

const verified = (entries: readonly string[]) =>
  verifyPassport(parsePassport([...entries]), { trust: [chain.trust] })

describe('NestJS → gRPC → Express → axios → Fastify', () => {
  it('K-RPC F-CP-03 is one lineage that verifies, each entry under the SVID of its hop, and within the one before', async () => {
    const { entries, tips, findings } = await verified(passport)
    expect(entries.map(({ principal, entry }) => [principal, entry.operation])).toEqual([
      ['spiffe://example.org/gateway', 'GET /orders/:id'],
      ['spiffe://example.org/stock', '/shop.Stock/Get'],
      ['spiffe://example.org/prices', 'GET /prices/:id'],
      ['spiffe://example.org/rates', 'GET /rates/:id'],
    ])
    expect(entries.map(({ entry }) => entry.parent_ids)).toEqual([
      ['0'],
      ...entries.slice(0, -1).map(({ hash }) => [hash]),
    ])
    expect(entries.every(({ proven }) => proven)).toBe(true)
    expect(new Set(entries.map(({ entry }) => entry.labels['trace_id'])).size).toBe(1)
    expect(tips).toHaveLength(1)
    expect(findings).toEqual([])
    for (const jws of passport) expect(headerOf(jws)).toMatchObject({ x5c: expect.any(Array) })
  })

  it.each(CHAIN.map((name, at) => [name, at] as const))(
    'a copy whose entry of %s was changed, signed by another hop, or taken out does not verify',
    async (_, at) => {
      const entry = passport[at] as string
      const other = passport[(at + 1) % passport.length] as string
      const [header, , signature] = entry.split('.') as [string, string, string]
      const payload = Buffer.from(JSON.stringify({ ...payloadOf(entry), operation: 'GET /all' })).toString(
        'base64url',
      )
      const copies = [
        passport.with(at, [header, payload, signature].join('.')),
        passport.with(at, [other.split('.')[0], ...entry.split('.').slice(1)].join('.')),
        // Of the last one nothing in the passport tells: the tips that are sent with it do (K-TIP).
        ...(at < passport.length - 1 ? [passport.toSpliced(at, 1)] : []),
      ]
      for (const copy of copies) {
        await expect(Promise.resolve().then(() => verified(copy))).rejects.toMatchObject({
          code: expect.stringMatching(/^ERR_KEST_/),
        })
      }
    },
  )
})

function headerOf(jws: string): object {
  return JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString())
}

function payloadOf(jws: string): object {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())
}
