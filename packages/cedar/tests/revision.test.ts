import { parseRevision } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { CedarReplay, CedarWasmEngine, type CedarWasmOptions } from '../src/index.js'
import { requestOf } from './support/requests.js'

const A = `@id("read") permit(principal, action == Action::"orders/read", resource) when { context.trust_score >= 40 };`
const B = `@id("no") forbid(principal, action, resource) when { context.taints.contains("malware") };`
const ENTITIES = [
  { uid: { type: 'Resource', id: '1' }, attrs: { owner: 'a' }, parents: [] },
  { uid: { type: 'Resource', id: '2' }, attrs: {}, parents: [] },
]

async function revisionOf(options: CedarWasmOptions): Promise<string | undefined> {
  const engine = await CedarWasmEngine.load(options)
  const revision = engine.revision()
  engine.close()
  return revision
}

describe('which set decided', () => {
  it('K-REVISION is a digest of policies, schema, entities and types', async () => {
    const revision = (await revisionOf({ policies: [A, B], entities: ENTITIES })) as string
    expect(parseRevision(revision)).toMatchObject({ engine: 'cedar', scheme: 'sha256', isDigest: true })
    expect(await revisionOf({ policies: `${B}\n\n${A}`, entities: ENTITIES.toReversed() })).toBe(revision)
    const others = [
      await revisionOf({ policies: [A, B] }),
      await revisionOf({ policies: [A.replace('40', '41'), B], entities: ENTITIES }),
      await revisionOf({ policies: [A], entities: ENTITIES }),
      await revisionOf({ policies: [A, B], entities: ENTITIES, entityTypes: { resource: 'Order' } }),
    ]
    expect(new Set([revision, ...others]).size).toBe(5)
  })
})

describe('asked again', () => {
  it('K-REPLAY a set is that of the engine that had it, and decides as it did', async () => {
    const engine = await CedarWasmEngine.load({ policies: [A, B] })
    const text = await CedarReplay.load({ policies: [A, B] }, 'orders.cedar')
    expect([text.name, text.revision, text.isCalled()]).toEqual(['orders.cedar', engine.revision(), false])
    for (const [policy, asked, allow] of [
      ['orders/read', { trust_score: 40 }, true],
      ['orders/read', { trust_score: 39 }, false],
      ['orders/read', { trust_score: 40, subject: { taints: ['malware'] } }, false],
      ['orders/write', {}, false],
    ] as const) {
      const request = requestOf(policy, asked)
      const { reason } = engine.evaluate(request)
      expect(text.replay(request)).toEqual({ allow, reason, outside: [] })
    }
    engine.close()
    await expect(CedarReplay.load({ policies: [] })).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })
})
