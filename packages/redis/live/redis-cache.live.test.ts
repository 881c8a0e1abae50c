import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient, createCluster, createSentinel } from '@redis/client'
import { generate } from 'selfsigned'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { RedisCache, type RedisCacheOptions } from '../src/index.js'
import { freePort, hasRedis, startRedis, temporaryFolder } from './support/redis-server.js'

const unreachable = { code: 'ERR_KEST_CACHE', statusCode: 503 }
const TTL_MS = 600_000
const passport = JSON.stringify(Array.from({ length: 40 }, () => `${randomUUID()}.b.c`))

beforeAll(() => {
  if (!hasRedis()) throw new Error('redis-server is not on PATH: apt-get install redis-server')
})

/** That has all the time there is: what was stored too late for an answer would be there when it is asked again. */
async function cacheOf(options: RedisCacheOptions): Promise<RedisCache> {
  const cache = await RedisCache.connect({ timeoutMs: 60_000, ...options })
  onTestFinished(() => cache.close())
  return cache
}

/** Once it answers. Requests until then are refused, each by the code. */
async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  let found: { readonly value: T } | undefined
  await expect
    .poll(
      async () => {
        found = await ask().then(
          (value) => ({ value }),
          (error) => {
            expect(error).toMatchObject(unreachable)
            return undefined
          },
        )
        return found
      },
      { timeout: 60_000, interval: 20 },
    )
    .toBeDefined()
  return (found as unknown as { value: T }).value
}

describe('RedisCache on a real Redis', () => {
  it('K-CLAIM keeps a value as long as it is told, and stores it once, whoever asks at once', async () => {
    const server = await startRedis()
    const caches = await Promise.all([cacheOf({ url: server.url }), cacheOf({ url: server.url })])
    const [one, other] = caches as [RedisCache, RedisCache]
    expect(await one.get('kest:a:1')).toBeNull()
    const racing = Array.from({ length: 200 }, (_, i) =>
      (caches[i % 2] as RedisCache).setIfAbsent('kest:a:1', passport, TTL_MS),
    )
    expect((await Promise.all(racing)).filter(Boolean)).toHaveLength(1)
    expect(await other.get('kest:a:1')).toBe(passport)

    const raw = createClient({ url: server.url })
    onTestFinished(() => raw.destroy())
    await raw.connect()
    expect(await raw.pTTL('kest:a:1')).toBeGreaterThan(TTL_MS - 60_000)
    expect(await raw.strLen('kest:a:1')).toBeLessThan(passport.length)
    await one.setIfAbsent('kest:a:2', passport, 1)
    await expect.poll(() => other.get('kest:a:2'), { timeout: 60_000 }).toBeNull()
  })

  it('K-HOP of a thousand that present one token at two services, one is first', async () => {
    const server = await startRedis()
    const stores = await Promise.all([cacheOf({ url: server.url }), cacheOf({ url: server.url })])
    const asked = Array.from({ length: 1_000 }, (_, i) =>
      (stores[i % 2] as RedisCache).setIfAbsent('kest:a:hop:x', '1', TTL_MS),
    )
    expect((await Promise.all(asked)).filter(Boolean)).toHaveLength(1)
  })

  it('what another hand stored is bounded, and refused where it is not whole', async () => {
    const server = await startRedis()
    const cache = await cacheOf({ url: server.url, maxValueBytes: 100_000 })
    const raw = createClient({ url: server.url })
    onTestFinished(() => raw.destroy())
    await raw.connect()
    for (const value of ['["a.b.c"]', '1not zlib', `0${'x'.repeat(5_000_000)}`]) {
      await raw.set('kest:a:1', value)
      await expect(cache.get('kest:a:1')).rejects.toMatchObject(unreachable)
    }
    await raw.del('kest:a:1')
    await raw.lPush('kest:a:1', 'a list')
    await expect(cache.get('kest:a:1')).rejects.toMatchObject(unreachable)
  })

  it('is refused while Redis is down, in time, and goes on when it is back, without what it held', async () => {
    const server = await startRedis()
    const cache = await cacheOf({ url: server.url, timeoutMs: 5_000 })
    await untilAnswered(() => cache.setIfAbsent('kest:a:1', passport, TTL_MS))
    await server.kill()
    await expect(cache.get('kest:a:1')).rejects.toMatchObject(unreachable)
    await expect(cache.setIfAbsent('kest:a:2', passport, TTL_MS)).rejects.toMatchObject(unreachable)
    await startRedis({ port: server.port, folder: server.folder })
    expect(await untilAnswered(() => cache.get('kest:a:1'))).toBeNull()
    expect(await untilAnswered(() => cache.setIfAbsent('kest:a:3', passport, TTL_MS))).toBe(true)
  })

  it('is refused while Redis hangs, and connects anew when nothing was answered for ten time-outs', async () => {
    const server = await startRedis()
    const cache = await cacheOf({ url: server.url, timeoutMs: 50 })
    await untilAnswered(() => cache.get('kest:a:1'))
    server.pause()
    onTestFinished(() => server.resume())
    const began = performance.now()
    while (performance.now() - began < 1_000)
      await expect(cache.get('kest:a:1')).rejects.toMatchObject(unreachable)
    server.resume()
    expect(await untilAnswered(() => cache.get('kest:a:1'))).toBeNull()
    const raw = createClient({ url: server.url })
    onTestFinished(() => raw.destroy())
    await raw.connect()
    // The first, a second in its place, and this one.
    const [, connections] = /total_connections_received:(\d+)/.exec(await raw.info('stats')) ?? []
    expect(Number(connections)).toBeGreaterThanOrEqual(4)
  })

  it('a server that wants a password, and rules of its own, is spoken to as the URL says', async () => {
    const acl = '--user kest on >s3cret ~kest:* +set +getrange +hello +client +ping --user default off'
    const server = await startRedis({}, ...acl.split(' '))
    const url = server.url.replace('//', '//kest:s3cret@')
    const cache = await cacheOf({ url })
    expect(await untilAnswered(() => cache.setIfAbsent('kest:a:1', passport, TTL_MS))).toBe(true)
    expect(await untilAnswered(() => cache.get('kest:a:1'))).toBe(passport)
    await expect(cache.get('other:1')).rejects.toMatchObject(unreachable)
    const wrong = RedisCache.connect({ url: url.replace('s3cret', 'wrong'), connectTimeoutMs: 5_000 })
    await expect(wrong).rejects.toMatchObject(unreachable)
  })

  it('TLS is by rediss://, and only to whom the options trust', async () => {
    const folder = temporaryFolder()
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
    })
    writeFileSync(join(folder, 'cert.pem'), cert)
    writeFileSync(join(folder, 'key.pem'), key)
    const port = await freePort()
    const tls = ['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no']
    const files = [
      '--tls-cert-file',
      'cert.pem',
      '--tls-key-file',
      'key.pem',
      '--tls-ca-cert-file',
      'cert.pem',
    ]
    await startRedis({ port, folder }, ...tls, ...files)
    const url = `rediss://localhost:${port}`
    const cache = await cacheOf({ url, tls: { ca: cert } })
    expect(await untilAnswered(() => cache.setIfAbsent('kest:a:1', passport, TTL_MS))).toBe(true)
    await expect(RedisCache.connect({ url, connectTimeoutMs: 5_000 })).rejects.toMatchObject(unreachable)
  })

  it('a cluster is asked by the client that knows it', async () => {
    const server = await startRedis({}, '--cluster-enabled', 'yes')
    const node = createClient({ url: server.url })
    onTestFinished(() => node.destroy())
    await node.connect()
    await node.clusterAddSlotsRange({ start: 0, end: 16_383 })
    await expect.poll(() => node.clusterInfo(), { timeout: 60_000 }).toContain('cluster_state:ok')
    const client = createCluster({ rootNodes: [{ url: server.url }] })
    onTestFinished(() => client.destroy())
    client.on('error', () => {})
    await client.connect()
    const cache = await cacheOf({ client })
    for (let i = 0; i < 20; i++) {
      expect(await untilAnswered(() => cache.setIfAbsent(`kest:a:${i}`, passport, TTL_MS))).toBe(true)
      expect(await untilAnswered(() => cache.get(`kest:a:${i}`))).toBe(passport)
    }
  })

  it('the master that Sentinel names is asked by the client that follows it', async () => {
    const server = await startRedis()
    const folder = temporaryFolder()
    const port = await freePort()
    const file = join(folder, 'sentinel.conf')
    const monitor = `sentinel monitor kest 127.0.0.1 ${server.port} 1`
    writeFileSync(file, `port ${port}\nbind 127.0.0.1\ndir ${folder}\n${monitor}\n`)
    await startRedis({ port, folder }, file, '--sentinel')
    const client = createSentinel({ name: 'kest', sentinelRootNodes: [{ host: '127.0.0.1', port }] })
    onTestFinished(async () => {
      await client.destroy()
    })
    client.on('error', () => {})
    await client.connect()
    const cache = await cacheOf({ client })
    expect(await untilAnswered(() => cache.setIfAbsent('kest:a:1', passport, TTL_MS))).toBe(true)
    expect(await untilAnswered(() => cache.get('kest:a:1'))).toBe(passport)
  })
})
