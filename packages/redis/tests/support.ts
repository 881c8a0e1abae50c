import type { RedisClientLike } from '../src/client.js'

/** What a client of Redis answers, as far as the cache asks. */
export class FakeClient implements RedisClientLike {
  readonly stored = new Map<string, Buffer>()
  readonly asked: unknown[][] = []
  answer: ((command: string) => unknown) | undefined

  withTypeMapping() {
    return {
      getRange: async (key: string, start: number, end: number) => {
        this.asked.push(['getRange', key, start, end])
        if (this.answer !== undefined) return this.answer('getRange')
        return this.stored.get(key)?.subarray(start, end + 1) ?? Buffer.alloc(0)
      },
      set: async (key: string, value: Buffer, options: unknown) => {
        this.asked.push(['set', key, options])
        if (this.answer !== undefined) return this.answer('set')
        if (this.stored.has(key)) return null
        this.stored.set(key, value)
        return 'OK'
      },
    }
  }
}
