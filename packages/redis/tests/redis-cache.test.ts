import { KestConfigError } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { RedisCache } from '../src/index.js'
import { FakeClient } from './support.js'

const refused = { code: 'ERR_KEST_CACHE', statusCode: 503 }

describe('options', () => {
  it.each([
    ['neither url nor client', {}],
    ['both', { url: 'redis://localhost', client: new FakeClient() }],
    ['another scheme', { url: 'http://localhost:6379' }],
    ['no host', { url: 'redis://' }],
    ['what is no URL', { url: 'localhost' }],
    ['tls without a TLS url', { url: 'redis://localhost', tls: {} }],
    ['what is no client', { client: {} }],
    ['a time that no timer takes', { client: new FakeClient(), timeoutMs: 2 ** 31 }],
    ['no time', { client: new FakeClient(), timeoutMs: 0 }],
    ['text for a bound', { client: new FakeClient(), maxValueBytes: '1' }],
    ['a misspelled option', { client: new FakeClient(), timeoutMS: 1 }],
  ])('refuses %s', async (_, options) => {
    await expect(RedisCache.connect(options as never)).rejects.toBeInstanceOf(KestConfigError)
  })

  it('no message has a password', async () => {
    for (const url of ['http://kest:hunter2@localhost', 'redis://kest:hunter2@']) {
      const error: Error = await RedisCache.connect({ url }).catch((reason) => reason)
      expect(error.message).not.toContain('hunter2')
    }
  })

  it('a server that is not there fails in time, without its password', async () => {
    const error: Error = await RedisCache.connect({
      url: 'redis://kest:hunter2@127.0.0.1:1',
      connectTimeoutMs: 500,
    }).catch((reason) => reason)
    expect(error).toMatchObject(refused)
    expect(error.message).toContain('127.0.0.1:1')
    expect(`${error.message} ${String(error.cause)}`).not.toContain('hunter2')
  })
})

describe('K-CLAIM what is stored', () => {
  const cacheOf = async (options = {}) => {
    const client = new FakeClient()
    return { client, cache: await RedisCache.connect({ client, ...options }) }
  }

  it('K-CLAIM is stored once, by one command, with its time to live, and read back', async () => {
    const { client, cache } = await cacheOf()
    const value = JSON.stringify(['a.b.c'.repeat(1_000)])
    expect(await cache.get('kest:shop:1')).toBeNull()
    expect(await cache.setIfAbsent('kest:shop:1', value, 5_000)).toBe(true)
    expect(await cache.setIfAbsent('kest:shop:1', 'other', 5_000)).toBe(false)
    expect(await cache.get('kest:shop:1')).toBe(value)
    expect(client.stored.get('kest:shop:1')?.length).toBeLessThan(500)
    const options = { condition: 'NX', expiration: { type: 'PX', value: 5_000 } }
    expect(client.asked.filter(([command]) => command === 'set')).toEqual([
      ['set', 'kest:shop:1', options],
      ['set', 'kest:shop:1', options],
    ])
  })

  it('K-LIMIT is bounded on both ways, and no more is read than could be right', async () => {
    const { client, cache } = await cacheOf({ maxValueBytes: 1_000 })
    await expect(cache.setIfAbsent('k', 'é'.repeat(501), 1)).rejects.toMatchObject(refused)
    expect(client.asked).toEqual([])
    client.stored.set('k', Buffer.alloc(1_000_000, '0'))
    await expect(cache.get('k')).rejects.toMatchObject(refused)
    expect(client.asked).toEqual([['getRange', 'k', 0, 1_067]])
  })

  it.each([0, -1, 1.5, Number.NaN])('takes no time to live of %s', async (ttl) => {
    const { cache } = await cacheOf()
    await expect(cache.setIfAbsent('k', 'v', ttl)).rejects.toBeInstanceOf(TypeError)
  })
})

describe('what cannot be asked', () => {
  it.each<[string, (command: string) => unknown]>([
    [
      'a command that fails',
      () => {
        throw new Error('READONLY')
      },
    ],
    ['text in place of bytes', () => 'QUEUED'],
    ['a number', () => 1],
    ['nothing that ever comes', () => new Promise(() => {})],
  ])('%s is ERR_KEST_CACHE', async (_, answer) => {
    const client = new FakeClient()
    client.answer = answer
    const cache = await RedisCache.connect({ client, timeoutMs: 50 })
    await expect(cache.setIfAbsent('k', 'v', 1)).rejects.toMatchObject(refused)
    await expect(cache.get('k')).rejects.toMatchObject(refused)
  })

  it('a client that throws at once is ERR_KEST_CACHE, and counts for nothing afterwards', async () => {
    const closed = () => {
      throw new Error('The client is closed')
    }
    const client = { withTypeMapping: () => ({ getRange: closed, set: closed }) }
    const cache = await RedisCache.connect({ client, maxPendingBytes: 300 })
    for (let i = 0; i < 3; i++)
      await expect(cache.get('k')).rejects.toMatchObject({ cause: new Error('The client is closed') })
  })

  it('K-LIMIT what is not answered is bounded in bytes; more is refused at once', async () => {
    const client = new FakeClient()
    const waiting: (() => void)[] = []
    client.answer = () => new Promise((resolve) => waiting.push(() => resolve('OK')))
    const cache = await RedisCache.connect({ client, timeoutMs: 60_000, maxPendingBytes: 600 })
    const two = [cache.setIfAbsent('a', '1', 1), cache.setIfAbsent('b', '1', 1)]
    await expect(cache.setIfAbsent('c', '1', 1)).rejects.toThrow(/maxPendingBytes/)
    for (const answer of waiting) answer()
    expect(await Promise.all(two)).toEqual([true, true])
    client.answer = () => 'OK'
    expect(await cache.setIfAbsent('c', '1', 1)).toBe(true)
  })

  it('a cache that was closed is not asked, and closes no client that it was given', async () => {
    const client = new FakeClient()
    const cache = await RedisCache.connect({ client })
    cache.close()
    cache.close()
    await expect(cache.get('k')).rejects.toMatchObject(refused)
    expect(client.asked).toEqual([])
  })
})
