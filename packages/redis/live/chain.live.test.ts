import { type CacheProvider, type Kest, type KestState, parsePassport, verifyPassport } from '@kest/core'
import { createClient } from '@redis/client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RedisCache } from '../src/index.js'
import { type RedisServer, startRedis } from './support/redis-server.js'
import { chain, twoServices } from './support/services.js'

async function cacheOn({ url }: RedisServer): Promise<RedisCache> {
  const cache = await RedisCache.connect({ url, timeoutMs: 30_000 })
  onTestFinished(() => cache.close())
  return cache
}

/** Loses all of it, once, as soon as something was stored. */
function losing(cache: RedisCache, when: () => boolean, lose: () => Promise<unknown>) {
  let lost = false
  return {
    get: (key: string) => cache.get(key),
    async setIfAbsent(...entry: Parameters<CacheProvider['setIfAbsent']>): Promise<boolean> {
      const stored = await cache.setIfAbsent(...entry)
      if (!lost && when()) {
        lost = true
        await lose()
      }
      return stored
    },
  }
}

describe('a chain through two services, with SVIDs, on one Redis', () => {
  it('F-CP-04 F-CP-05 K-CLAIM of 40 hops crosses, and all of it verifies', async () => {
    const server = await startRedis()
    const services = await twoServices([await cacheOn(server), await cacheOn(server)])
    const answer = await chain(services, 40)
    expect(answer).toEqual({ status: 200, body: { arrived: true } })
    const [passport] = services.flatMap(({ arrived }) => arrived)
    const verified = await verifyPassport(parsePassport(passport), { trust: services[0].trust })
    expect(verified.entries).toHaveLength(41)
    expect(new Set(verified.entries.map(({ principal }) => principal)).size).toBe(2)
  })

  it('K-CLAIM many at once cross, each with its own', async () => {
    const server = await startRedis()
    const services = await twoServices([await cacheOn(server), await cacheOn(server)])
    const answers = await Promise.all(Array.from({ length: 20 }, () => chain(services, 12)))
    for (const answer of answers) expect(answer).toEqual({ status: 200, body: { arrived: true } })
    const passports = services.flatMap(({ arrived }) => arrived)
    expect(passports).toHaveLength(20)
    expect(new Set(passports.map(([root]) => root)).size).toBe(20)
    for (const passport of passports) expect(passport).toHaveLength(13)
  })

  it('K-CLAIM is refused where the cache has lost in the middle what the header names, and both ends say so', async () => {
    const server = await startRedis()
    const raw = createClient({ url: server.url })
    onTestFinished(() => raw.destroy())
    await raw.connect()
    let left = Number.POSITIVE_INFINITY
    const cache = losing(
      await cacheOn(server),
      () => left <= 20,
      () => raw.flushAll(),
    )
    const services = await twoServices([cache, await cacheOn(server)])
    services[0].before = (count) => {
      left = count
    }
    const answer = await chain(services, 40)
    expect(answer).toMatchObject({ status: 403, body: { code: 'ERR_KEST_CLAIM_UNKNOWN' } })
    expect(services.flatMap(({ arrived }) => arrived)).toEqual([])
  })

  it('K-CLAIM is not sent where the cache cannot be reached in the middle', async () => {
    const server = await startRedis()
    const services = await twoServices([await cacheOn(server), await cacheOn(server)])
    services[0].before = async (left) => {
      if (left <= 20) await server.kill()
    }
    const answer = await chain(services, 40)
    expect(answer).toEqual({ status: 502, body: { not_sent: 'ERR_KEST_CACHE' } })
  })

  it('K-CLAIM is not run where only the receiver cannot reach the cache', async () => {
    const [server, other] = [await startRedis(), await startRedis()]
    const services = await twoServices([await cacheOn(server), await cacheOn(other)])
    await other.kill()
    const answer = await chain(services, 1)
    expect(answer).toMatchObject({ status: 503, body: { code: 'ERR_KEST_CACHE' } })
  })

  it('K-TIPS K-HOP 200 parallel operations, then a call, cross', async () => {
    const server = await startRedis()
    const services = await twoServices([await cacheOn(server), await cacheOn(server)])
    const [a, b] = services
    const begun = await a.kest.begin({ operation: 'begin', policy: 'hop', origin: 'system' })
    const branch = async (): Promise<void> => (await fork(a.kest, begun.state)).settle()
    const response = await begun.run(async () => {
      await Promise.all(Array.from({ length: 200 }, branch))
      return a.fetch(`${b.origin}/hop/3`)
    })
    expect([response.status, await response.json()]).toEqual([200, { arrived: true }])
    expect(services.flatMap(({ arrived }) => arrived)[0]).toHaveLength(204)
  })

  it('K-HOP a token that was used at one instance is refused at another on the same Redis', async () => {
    const server = await startRedis()
    const caches = [await cacheOn(server), await cacheOn(server)] as const
    const [a, b] = await twoServices(caches)
    const begun = await a.kest.begin({ operation: 'begin', policy: 'hop', origin: 'system' })
    const headers = await a.kest.inject({}, b.origin, { hop: true, state: begun.state })
    const instances = caches.map((replayStore) =>
      b.kest.listener({ binding: 'hop', audiences: [b.origin], replayStore }),
    )
    const received = instances.map((listener) => listener.receive({ headers: { ...headers } }))
    const outcomes = await Promise.allSettled(received)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'ERR_KEST_BINDING' },
    })
  })
})

function fork(kest: Kest, state: KestState) {
  return kest.begin({ operation: 'branch', policy: 'hop' }, { state })
}
