import { setTimeout as wait } from 'node:timers/promises'
import { getCurrentPassport, getCurrentUser, parsePassport, verifyPassport } from '@kest/core'
import { Agent, request } from 'undici'
import { describe, expect, it } from 'vitest'
import { parseAnswer, rawRequest, sendRaw } from './support/raw.js'
import { lineage, trust, World } from './support/world.js'

describe('concurrent requests', () => {
  it('SPEC §11.7 never see each other: 200 users and taints over few connections', async () => {
    const world = new World(async () => {
      await wait(Math.random() * 5)
      return true
    })
    const app = await world.app({})
    const step = world.kest.verified({ operation: 'step', policy: 'test' }, async () =>
      wait(Math.random() * 5),
    )
    app.post('/x', { config: { kest: { policy: 'test' } } }, async (req) => {
      await Promise.all([step(), step()])
      return { user: getCurrentUser(), own: req.kest?.user, passport: getCurrentPassport(), body: req.body }
    })
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const dispatcher = new Agent({ connections: 8 })
    const users = Array.from({ length: 200 }, (_, i) => `user-${i}`)
    await Promise.all(
      users.map(async (user) => {
        const { body } = await request(`${address}/x`, {
          method: 'POST',
          dispatcher,
          headers: { ...(await lineage(user, `taint-${user}`)), 'content-type': 'application/json' },
          body: JSON.stringify({ user }),
        })
        const answer = (await body.json()) as {
          user: string
          own: string
          passport: string[]
          body: { user: string }
        }
        expect([answer.user, answer.own, answer.body.user]).toEqual([user, user, user])
        const { entries, tips } = await verifyPassport(parsePassport(answer.passport), { trust })
        expect(entries.map(({ entry }) => entry.operation)).toEqual(['step-0', 'POST /x', 'step', 'step'])
        for (const { entry, taints } of entries) {
          expect(taints).toEqual([`taint-${user}`])
          expect(JSON.parse(entry.labels['kest.identity'] ?? '{}').user).toBe(user)
        }
        expect(tips).toHaveLength(2)
      }),
    )
    await dispatcher.close()
  })

  it('leave nothing behind on a connection that is kept alive', async () => {
    const app = await new World().app({})
    app.get('/x', { config: { kest: { policy: 'test' } } }, async () => ({ user: getCurrentUser() }))
    app.get('/open', { config: { kest: false } }, async (req) => ({ user: getCurrentUser(), kest: req.kest }))
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const keep = (path: string, lines: readonly string[]) =>
      rawRequest(path, lines).replace('Connection: close', 'Connection: keep-alive')
    const { baggage } = await lineage('alice')
    const answers = await sendRaw(
      address,
      keep('/x', [`baggage: ${baggage}`]) +
        keep('/open', []) +
        keep('/x', []) +
        rawRequest('/x', [`baggage: ${(await lineage('bob')).baggage}`]),
    )
    const parsed = answers.split(/(?=HTTP\/1\.1 )/).map(parseAnswer)
    expect(parsed.map(({ status, body }) => [status, body['user'] ?? body['code'] ?? null])).toEqual([
      [200, 'alice'],
      [200, null],
      [403, 'ERR_KEST_LINEAGE_MISSING'],
      [200, 'bob'],
    ])
  })
})
