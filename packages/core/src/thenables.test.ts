import { describe, expect, it } from 'vitest'
import { createKest } from './config/kest.js'
import type { KeySource } from './identity/key-source.js'
import { createKeySource } from './identity/keys.js'
import { cacheDecisions } from './policy/decision-cache.js'
import { createFunctionEngine } from './policy/function-engine.js'
import { MemoryCache } from './propagation/memory-cache.js'
import { MockIdentityProvider } from './testing/index.js'
import { MockPolicyEngine } from './testing/mock-engine.js'

type Then = (yes: (value: unknown) => void) => void

/** What a library of promises may answer: nothing but a `then`, which answers nothing. */
function withThen(then: Then): never {
  return { then } as never
}

const kinds: readonly (readonly [string, (value: unknown) => never])[] = [
  ['later', (value) => withThen((yes) => void setImmediate(yes, value))],
  ['at once', (value) => withThen((yes) => yes(value))],
  [
    'twice',
    (value) =>
      withThen((yes) => {
        yes(value)
        yes('another')
      }),
  ],
]

describe.each(kinds)('a thenable that answers %s is awaited, where', (_, thenable) => {
  const identity = new MockIdentityProvider('spiffe://thenables.test/a')
  const keys = createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })
  const engine = new MockPolicyEngine()
  const root = { operation: 'root', policy: 'p', origin: 'system' } as const

  it('a provider says who signs, a signer signs, a resolver resolves, and a policy is decided', async () => {
    const signer = identity.current()
    const later = {
      getWorkloadId: () => identity.getWorkloadId(),
      current: () =>
        thenable({ ...signer, local: false, sign: (bytes: Buffer) => thenable(signer.sign(bytes)) }),
    }
    const engines = [
      { evaluate: () => thenable(true) },
      createFunctionEngine({ p: () => thenable(true) }),
      cacheDecisions({ evaluate: () => thenable({ allow: true, reason: 'because' }) }, { ignore: [] }),
    ]
    for (const engine of engines) {
      const kest = createKest({ identity: later, engine })
      const { entry } = await kest.begin({ ...root, user: () => thenable('alice') })
      expect(entry.entry.labels['kest.identity']).toContain('alice')
    }
    const denying = createFunctionEngine({ p: () => thenable(false) })
    const denied = createKest({ identity: later, engine: denying }).begin(root)
    await expect(denied).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
  })

  it('a source finds keys, a cache keeps a claim check, and a store knows what was used', async () => {
    const memory = new MemoryCache()
    const cache = {
      setIfAbsent: (key: string, value: string, ttlMs: number) =>
        thenable(memory.setIfAbsent(key, value, ttlMs)),
      get: (key: string) => thenable(memory.get(key)),
    }
    const source: KeySource = {
      kind: 'keys',
      name: 'thenable',
      get generation() {
        return keys.generation
      },
      find: (query) => thenable(keys.find(query)),
    }
    const kest = createKest({
      identity,
      engine,
      cache,
      trust: source,
      propagation: { maxMemberLength: 500 },
    })
    const begun = await kest.begin(root)
    const headers = await begun.run(() =>
      kest.inject<Record<string, string>>({}, 'http://hop2', { hop: true }),
    )
    expect(headers['baggage']).toContain('kest.claim_check')
    const options = { binding: 'hop', audiences: ['http://hop2'], replayStore: cache } as const
    const state = await kest.extract(headers, options)
    expect(state.frame.lineage.tips[0]?.hash).toBe(begun.entry.hash)
    await expect(kest.extract(headers, options)).rejects.toMatchObject({ code: 'ERR_KEST_BINDING' })
  })
})
