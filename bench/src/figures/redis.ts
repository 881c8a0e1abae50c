import { spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { resolveLimits } from '@kest/core'
import { RedisCache } from '@kest/redis'
import { createClient } from '@redis/client'
import type { TimeFigure } from '../figure.js'
import { freePort } from '../free-port.js'
import { resolveClaim, storeClaim } from '../internals.js'
import { createWorkload } from '../workload.js'

const TTL_MS = 60_000
/** What a busy machine may need. */
const PATIENCE_MS = 30_000

/** With `redis-server` on PATH: what a claim check costs beside bare commands to the same Redis. For a process of its own. */
export const REDIS_FIGURES: readonly TimeFigure[] =
  spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0
    ? [10, 40].map((entries) => figure(entries))
    : []

function figure(entries: number): TimeFigure {
  return {
    group: 'propagate',
    name: `a claim check on Redis, ${entries} entries`,
    unit: 'µs',
    floor: 'a bare SET and GET of the same bytes',
    target: 1.3,
    async prepare() {
      const { lineage } = (await createWorkload().chain(entries)).state.frame
      const passport = JSON.stringify(lineage.strings())
      const client = createClient({ url: await startRedis() })
      // It is tried again until the server listens.
      client.on('error', () => {})
      await client.connect()
      const cache = await RedisCache.connect({ client, timeoutMs: PATIENCE_MS })
      const store = {
        cache,
        namespace: 'bench',
        claimTtlMs: TTL_MS,
        cacheTimeoutMs: PATIENCE_MS,
        limits: resolveLimits({}),
      }
      return {
        floor: async () => {
          const key = `bare:${randomUUID()}`
          await client.set(key, passport, { expiration: { type: 'PX', value: TTL_MS } })
          return client.get(key)
        },
        subject: async () => resolveClaim(await storeClaim(passport, store), store),
      }
    },
  }
}

/** Keeps everything in memory, and ends with this process. */
async function startRedis(): Promise<string> {
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const redis = spawn('redis-server', args, { stdio: 'ignore' })
  process.once('exit', () => redis.kill('SIGKILL'))
  redis.unref()
  return `redis://127.0.0.1:${port}`
}
