import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type CacheProvider,
  currentState,
  type KestState,
  type PropagationRule,
} from '../../packages/core/dist/index.js'
import { NOBODY, servedTo, startAccounts, type User } from './accounts.js'
import { redirecting, showsKest, startServer, type TestServer } from './server.js'
import {
  boundRefusal,
  cache,
  caller,
  deepWithin,
  gatedCache,
  kest,
  operationsIn,
  remoteIdentity,
  within,
} from './services.js'

export interface Sending {
  readonly method?: string
  readonly headers?: Record<string, string | string[]>
  readonly body?: string
  readonly signal?: AbortSignal
}

export interface Answered {
  readonly status: number
  readonly text: string
}

/** A client, of some library, that was told of a rule. */
export interface Client {
  send(url: string, sending?: Sending): Promise<Answered>
  close(): Promise<void> | void
}

export interface Way {
  /** A client whose requests go through few connections, and whose listeners run as the library calls them. */
  readonly open: (rule: PropagationRule) => Client
  /** Whether it follows redirects by itself. */
  readonly follows: boolean
  /** Starts what it calls; default: a server of HTTP/1. */
  readonly serve?: typeof startServer
  /** Whether a request of it can wait for what is decided; default `true`. */
  readonly waits?: boolean
  /** Whether the method, path and body that it is asked for are those of HTTP; default `true`. */
  readonly plain?: boolean
}

/** What holds for everything that sends, whatever library it is of. */
export function describeOutbound(
  name: string,
  { open, follows, serve = startServer, waits = true, plain = true }: Way,
): void {
  describe(`outbound: ${name}`, () => {
    let hop2: TestServer
    let hop3: TestServer
    let stranger: TestServer
    const clients: Client[] = []

    beforeAll(async () => {
      hop2 = await serve(redirecting(307))
      hop3 = await serve()
      stranger = await serve(redirecting(307))
    })
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()))
      for (const { received } of [hop2, hop3, stranger]) received.length = 0
    })
    afterAll(() => Promise.all([hop2.close(), hop3.close(), stranger.close()]))

    function client(rule: Partial<PropagationRule> = {}): Client {
      const opened = open({ kest, propagateTo: [hop2.origin, hop3.origin], ...rule })
      clients.push(opened)
      return opened
    }

    it('F-CP-03 carries the passport to an origin in scope, where it verifies, and the body with it', async () => {
      const { send } = client()
      const answer = await within('orders.list', () =>
        send(`${hop2.origin}/x`, { method: 'POST', body: 'order' }),
      )
      expect(answer).toEqual({ status: 200, text: 'order' })
      expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
    })

    it('F-CP-03 keeps the members of others as they were written, and replaces those of ours', async () => {
      const { send } = client()
      const headers = { Baggage: 'kest.chain_tip=stale, b=%zz;p = "q",kest.user=eve,a=1', 'x-other': '1' }
      await within('orders.list', () => send(`${hop2.origin}/x`, { headers }))
      const received = hop2.received[0]!.headers
      expect(received['baggage']).toMatch(
        /^kest\.passport=[^,]+,kest\.chain_tip=[0-9a-f]{64},b=%zz;p = "q",a=1$/,
      )
      expect(received['x-other']).toBe('1')
    })

    it('K-SCOPE sends nothing of ours to any other origin, whoever put it there', async () => {
      const { send } = client()
      const headers = { baggage: 'kest.passport=%5B%5D,theirs=1;p=2,kest.user=eve,%6Best.jwt=x' }
      await within('orders.list', () => send(`${stranger.origin}/x`, { headers }))
      await within('orders.list', () => send(`${stranger.origin}/x`))
      expect(stranger.received.map(showsKest)).toEqual([false, false])
      expect(stranger.received.map(({ headers }) => headers['baggage'])).toEqual(['theirs=1;p=2', undefined])
    })

    it('sends no header where there is no lineage, and none of ours that another hand has written', async () => {
      const { send } = client()
      await send(`${hop2.origin}/x`)
      await send(`${hop2.origin}/x`, { headers: { baggage: 'kest.passport=%5B%5D' } })
      expect(hop2.received.map(({ headers }) => headers['baggage'])).toEqual([undefined, undefined])
    })

    it('K-AMBIENT 40 requests at once carry each its own passport, over whatever connection', async () => {
      const { send } = client()
      await Promise.all(
        Array.from({ length: 40 }, (_, n) => within(`op${n}`, () => send(`${hop2.origin}/${n}`))),
      )
      expect(hop2.received).toHaveLength(40)
      for (const { url, headers } of hop2.received) {
        expect(await operationsIn(headers)).toEqual([`op${url.slice(1)}`])
      }
    })

    it.each([false, true])(
      'K-AMBIENT two users and nobody, who try again on the same connection, see each their own account (hop: %s)',
      async (hop) => {
        const accounts = await startAccounts(hop, serve)
        const { send } = client({ propagateTo: [accounts.origin], hop })
        const users: User[] = ['bob', null, 'carol']
        const seen = users.flatMap((user) =>
          [1, 2, 3].map((n) =>
            servedTo(user, async () => {
              const url = `${accounts.origin}/flaky/${user}-${n}`
              const first = await send(url)
              return [user ?? NOBODY, first.status, (await send(url)).text]
            }),
          ),
        )
        for (const [user, first, account] of await Promise.all(seen)) {
          expect([first, account]).toEqual([503, user])
        }
        await accounts.close()
      },
    )

    it('K-HOP sends each request a token of its own, for the origin called', async () => {
      const { send } = client({ hop: true })
      await within('op', async () => {
        for (const { origin } of [hop2, hop2, hop3, stranger]) await send(`${origin}/x`)
      })
      const tokens = [...hop2.received, ...hop3.received].map(tokenOf)
      expect(tokens.map(({ aud }) => aud)).toEqual([hop2.origin, hop2.origin, hop3.origin])
      expect(new Set(tokens.map(({ jti }) => jti)).size).toBe(3)
      expect(stranger.received.map(showsKest)).toEqual([false])
    })

    it('K-SIZE does not send what fits no header, and says why', async () => {
      const { send } = client({ kest: caller({ propagation: { maxMemberLength: 500 } }) })
      const sent = within('orders.list', () => send(`${hop2.origin}/x`, { method: 'POST', body: 'x' }))
      expect(await reasonOf(sent)).toMatchObject({ code: 'ERR_KEST_TOO_LARGE' })
      expect(hop2.received).toEqual([])
    })

    describe.runIf(plain)('and tokens that are bound to their requests', () => {
      const hop = { bind: ['method', 'path', 'body'] } as const

      it('K-BODY binds what is sent, as it is received, and nothing else', async () => {
        const { send } = client({ hop })
        await within('op', async () => {
          await send(`${hop2.origin}/a%2Fb/%7e?q=x%20y&q=z+&empty=`)
          await send(`${hop2.origin}/?b=2&a=1`, { method: 'DELETE' })
          if (waits)
            for (const body of ['order', 'ö'.repeat(40_000), ''])
              await send(`${hop2.origin}/x`, { method: 'POST', body })
        })
        expect(hop2.received).toHaveLength(waits ? 5 : 2)
        for (const request of hop2.received) {
          expect(await boundRefusal(request, hop2.origin)).toBeNull()
          const others = [{ method: 'PATCH' }, { url: `${request.url}/` }, { body: `${request.body} ` }]
          for (const other of others)
            expect(await boundRefusal({ ...request, ...other }, hop2.origin)).toBe('ERR_KEST_BINDING')
        }
      })

      it('K-BODY sends no body that cannot be bound, or is longer than its bound, and says why', async () => {
        const { send } = client({ hop: { ...hop, maxBodyBytes: waits ? 4 : 1000 } })
        const sent = within('op', () => send(`${hop2.origin}/x`, { method: 'POST', body: 'order' }))
        expect(await reasonOf(sent)).toMatchObject({
          code: 'ERR_KEST_OUTBOUND',
          message: expect.stringContaining('K-BODY'),
        })
        expect(hop2.received).toEqual([])
        if (waits) await within('op', () => send(`${hop2.origin}/x`, { method: 'POST', body: 'four' }))
        await send(`${hop2.origin}/without`, { method: 'POST', body: 'order' })
        await within('op', () => send(`${stranger.origin}/x`, { method: 'POST', body: 'order' }))
        expect(hop2.received.map(({ body }) => body)).toEqual(waits ? ['four', 'order'] : ['order'])
        expect(stranger.received.map(({ body }) => body)).toEqual(['order'])
      })
    })

    describe.runIf(waits)('and what has to be waited for', () => {
      it('K-CLAIM a passport that is too large is stored before the request leaves, of whoever made it', async () => {
        const by = caller({ cache: remote() })
        const { send } = client({ kest: by })
        await Promise.all(
          [12, 13, 12, 13].map((n) =>
            deepWithin(n, by, () => send(`${hop2.origin}/${n}`, { method: 'POST', body: `order ${n}` })),
          ),
        )
        expect(hop2.received).toHaveLength(4)
        for (const { url, body, headers } of hop2.received) {
          expect(body).toBe(`order ${url.slice(1)}`)
          expect(headers['baggage']).toMatch(/^kest\.claim_check=/)
          expect(await operationsIn(headers)).toHaveLength(Number(url.slice(1)))
        }
      })

      it('K-CLAIM a cache that fails stops the request', async () => {
        const dead: CacheProvider = {
          get: () => null,
          setIfAbsent: () => Promise.reject(new Error('refused')),
        }
        const by = caller({ cache: dead })
        const { send } = client({ kest: by })
        const sent = deepWithin(12, by, () => send(`${hop2.origin}/x`, { method: 'POST', body: 'x' }))
        expect(await reasonOf(sent)).toMatchObject({ code: 'ERR_KEST_CACHE' })
        expect(hop2.received).toEqual([])
      })

      it('K-CLAIM nothing is sent for whoever leaves while it is stored', async () => {
        const { provider, asked, open } = gatedCache()
        const by = caller({ cache: provider })
        const { send } = client({ kest: by })
        const controller = new AbortController()
        const { signal } = controller
        const left = reasonOf(
          deepWithin(12, by, () => send(`${hop2.origin}/left`, { method: 'POST', body: 'x', signal })),
        )
        await asked
        controller.abort()
        open()
        expect(await left).toBeInstanceOf(Error)
        await send(`${hop2.origin}/after`)
        expect(hop2.received.map(({ url }) => url)).toEqual(['/after'])
      })
    })

    describe.runIf(!waits)('and what cannot be waited for', () => {
      it('K-CLAIM is refused before it leaves, and goes once it was stored', async () => {
        const by = caller({ cache: remote() })
        const { send } = client({ kest: by })
        await deepWithin(12, by, async () => {
          const url = `${hop2.origin}/x`
          const sending = { method: 'POST', body: 'order' }
          expect(await reasonOf(send(url, sending))).toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
          expect(hop2.received).toEqual([])
          await by.inject({}, url)
          await send(url, sending)
        })
        const { headers, body } = hop2.received[0]!
        expect(body).toBe('order')
        expect(headers['baggage']).toMatch(/^kest\.claim_check=/)
        expect(await operationsIn(headers)).toHaveLength(12)
      })

      it('K-HOP is refused where the token is signed elsewhere, each time', async () => {
        const { send } = client({ kest: caller({ identity: remoteIdentity }), hop: true })
        for (const _ of [1, 2]) {
          const sent = within('op', () => send(`${hop2.origin}/x`))
          expect(await reasonOf(sent)).toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
        }
        await send(`${hop2.origin}/without`)
        expect(hop2.received.map(({ url }) => url)).toEqual(['/without'])
      })
    })

    it('K-STATE sends nothing in scope once the state is over', async () => {
      const { send } = client()
      let over: KestState | null = null
      await within('op', () => {
        over = currentState()
      })
      expect(await reasonOf(Promise.resolve(kest.run(over!, () => send(`${hop2.origin}/x`))))).toMatchObject({
        code: 'ERR_KEST_STATE_ENDED',
      })
      expect(hop2.received).toEqual([])
    })

    describe.runIf(follows)('and redirects', () => {
      const to = (from: TestServer, target: string) => `${from.origin}/to?${encodeURIComponent(target)}`

      it('K-REDIRECT does not follow one with a passport, from ours or from a stranger', async () => {
        const { send } = client()
        for (const from of [hop2, stranger]) {
          const sent = within('op', () =>
            send(to(from, `${hop3.origin}/end`), { method: 'POST', body: 'order' }),
          )
          expect(await reasonOf(sent)).toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
        }
        expect(hop3.received).toEqual([])
        expect(stranger.received.map(showsKest)).toEqual([false])
      })

      it('K-REDIRECT follows one to a stranger, who gets nothing of ours', async () => {
        const { send } = client()
        await within('op', () => send(to(hop2, `${stranger.origin}/end`), { headers: { baggage: 'a=1' } }))
        expect(stranger.received.map(showsKest)).toEqual([false])
        expect(stranger.received.map(({ headers }) => headers['baggage'])).toEqual(['a=1'])
      })

      it('K-REDIRECT judges each hop by itself where it is told to follow, there and back', async () => {
        const { send } = client({ redirects: 'follow', hop: true })
        await within('op', () => send(to(hop2, to(stranger, `${hop3.origin}/end`))))
        expect(stranger.received.map(showsKest)).toEqual([false])
        for (const server of [hop2, hop3]) {
          expect(server.received).toHaveLength(1)
          expect(await operationsIn(server.received[0]!.headers)).toEqual(['op'])
          expect(tokenOf(server.received[0]!).aud).toBe(server.origin)
        }
      })

      it('follows whatever it likes without a passport', async () => {
        const { send } = client()
        expect(await send(to(hop2, `${hop3.origin}/end`))).toMatchObject({ status: 200 })
        expect(hop3.received).toHaveLength(1)
      })
    })
  })
}

/** Audience and id of the token that a request carries. */
function tokenOf({ headers }: { readonly headers: Record<string, unknown> }): {
  readonly aud: string
  readonly jti: string
} {
  const token = /kest\.hop=[^.]*\.([^.]*)\./.exec(String(headers['baggage']))?.[1] ?? ''
  return JSON.parse(Buffer.from(token, 'base64url').toString())
}

/** Why it was not sent: clients wrap what they are told, each in its own way. */
async function reasonOf(sent: Promise<unknown>): Promise<unknown> {
  let reason: unknown = await sent.then(
    (answer) => expect.fail(`was answered: ${JSON.stringify(answer)}`),
    (error: unknown) => error,
  )
  while (
    !/^ERR_KEST/.test(String((reason as { code?: unknown }).code)) &&
    (reason as Error).cause instanceof Error
  ) {
    reason = (reason as Error).cause
  }
  return reason
}

/** The cache that both services share, from afar. */
function remote(): CacheProvider {
  return {
    get: (key) => cache.get(key),
    async setIfAbsent(...entry) {
      await sleep(1)
      return cache.setIfAbsent(...entry)
    },
  }
}
