import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Kest, KestEntry } from '../../packages/core/dist/index.js'
import { type Asked, CALLEE, HOSTILE, ODD, receiptCaller, receiptFor, WHY } from './receipts.js'
import { type Received, startServer, type TestServer } from './server.js'

/** What a client's application got to see. */
export interface SeenAnswer {
  readonly status: number
  /** In lower case, trailers included. */
  readonly names: readonly string[]
  readonly body: string
}

/** Sends one request by the client that is tested, as an application would. */
export type SendForReceipt = (
  url: string,
  rule: { readonly kest: Kest; readonly propagateTo: readonly string[]; readonly redirects?: 'follow' },
  method?: string,
) => Promise<SeenAnswer>

type Answer = (response: ServerResponse, asked: Asked | null, request: Received) => void

/** By path, what the called service answers. */
const ANSWERS: Record<string, Answer> = {
  '/honest': (response, asked) => response.writeHead(200, receiptOf(asked)).end('done'),
  '/none': (response) => response.writeHead(200).end('done'),
  '/failed': (response, asked) => response.writeHead(500, receiptOf(asked)).end('own words'),
  '/none-modified': (response, asked) => response.writeHead(304, receiptOf(asked)).end(),
  '/empty': (response, asked) => response.writeHead(204, receiptOf(asked)).end(),
  '/stream': (response, asked) => {
    response.writeHead(200, receiptOf(asked))
    for (let n = 0; n < 50; n++) response.write('x'.repeat(10_000))
    response.end()
  },
  '/hints': (response, asked) => {
    response.writeEarlyHints({ link: '</a>; rel=preload', 'kest-receipt': 'hint' } as never)
    response.writeHead(200, receiptOf(asked)).end('done')
  },
  '/trailers': (response, asked) => {
    response.writeHead(200, { ...receiptOf(asked), trailer: 'kest-receipt, x-sum' })
    response.write('done')
    response.addTrailers({ 'kest-receipt': 'trailer', 'x-sum': '1' })
    response.end()
  },
  '/only-trailers': (response, asked) => {
    response.writeHead(200, { trailer: 'kest-receipt' })
    response.write('done')
    response.addTrailers(receiptOf(asked))
    response.end()
  },
}

function receiptOf(asked: Asked | null): { 'kest-receipt'?: string } {
  return asked === null ? {} : { 'kest-receipt': asked.receipt }
}

const root = { operation: 'root', policy: 'test', origin: 'system' } as const
const next = { operation: 'next', policy: 'test' } as const

/** A called service, and callers of it, for the tests of one client. */
function services(send: SendForReceipt, serve: typeof startServer) {
  let hop2: TestServer
  let calls: (Asked | null)[] = []
  beforeAll(async () => {
    hop2 = await serve((request, response) => {
      void answer(request, response)
    })
  })
  afterAll(() => hop2.close())

  async function answer(request: Received, response: ServerResponse): Promise<void> {
    const asked = await receiptFor(request.headers)
    calls.push(asked)
    const [path = '', argument = ''] = request.url.split('?', 2)
    const named = decodeURIComponent(argument)
    if (path === '/hostile' && asked !== null)
      response.writeHead(200, { 'kest-receipt': HOSTILE[named]?.(asked) as string[] }).end('done')
    else if (path === '/odd' && asked !== null)
      response.writeHead(200, { 'kest-receipt': ODD[named]?.(asked) }).end('done')
    else if (path === '/to') response.writeHead(302, { location: named, ...receiptOf(asked) }).end()
    else if (path === '/swap') swap(asked, response)
    else ANSWERS[path]?.(response, asked, request)
  }

  /** Answers two calls with each other's receipts, when both are there. */
  let waiting: { readonly asked: Asked | null; readonly response: ServerResponse } | null = null
  function swap(asked: Asked | null, response: ServerResponse): void {
    if (waiting === null) waiting = { asked, response }
    else {
      waiting.response.writeHead(200, receiptOf(asked)).end()
      response.writeHead(200, receiptOf(waiting.asked)).end()
      waiting = null
    }
  }

  function world(
    ...[options, more]: [Parameters<typeof receiptCaller>[1]?, Parameters<typeof receiptCaller>[2]?]
  ) {
    calls = []
    const caller = receiptCaller({ [hop2.origin]: CALLEE }, options, more)
    const rule = { kest: caller.kest, propagateTo: [hop2.origin] }
    const get = (path: string, method?: string) => send(hop2.origin + path, rule, method)
    return { ...caller, rule, get }
  }

  /** Where there must be a receipt, the answer at this path is what is expected, and has none for the application. */
  async function comesWhole(path: string, expected: Partial<SeenAnswer>): Promise<void> {
    const { kest, get, receipts } = world({ mode: 'require' })
    await (await kest.begin(root)).run(async () => {
      const seen = await get(path)
      expect(seen).toMatchObject(expected)
      expect(seen.names).not.toContain('kest-receipt')
    })
    expect(receipts()).toHaveLength(1)
  }

  const forget = (): void => {
    calls = []
  }
  return { world, forget, origin: () => hop2.origin, callsOf: () => calls, comesWhole }
}

/** What every client of HTTP does with receipts (K-RECEIPT). */
export function testReceipts(name: string, send: SendForReceipt, serve = startServer): void {
  testCallReceipts(name, send, serve)
  describe(`${name}: receipts of HTTP`, () => {
    const { world, origin, comesWhole } = services(send, serve)

    for (const [path, expected] of Object.entries({
      '/none-modified': { status: 304, body: '' },
      '/empty': { status: 204, body: '' },
      '/hints': { status: 200, body: 'done' },
    }))
      it(wholeAnswer(path), () => comesWhole(path, expected))

    it('K-RECEIPT it comes with the answer to a HEAD, which has no body', async () => {
      const { kest, get, receipts } = world({ mode: 'require' })
      await (await kest.begin(root)).run(async () => {
        expect(await get('/honest', 'HEAD')).toMatchObject({ status: 200, body: '' })
      })
      expect(receipts()).toHaveLength(1)
    })

    it('K-RECEIPT a redirect and what follows it are two dispatches, each with a receipt of its own', async () => {
      const { kest, rule, receipts } = world({ mode: 'require' })
      await (await kest.begin(root)).run(async () => {
        const to = `${origin()}/to?${encodeURIComponent(`${origin()}/honest`)}`
        expect(await send(to, { ...rule, redirects: 'follow' })).toMatchObject({ status: 200, body: 'done' })
      })
      expect(new Set(receipts().map((one) => one['kest.receipt.hash'])).size).toBe(2)
    })
  })
}

/** What every client does with receipts, whatever it calls by (K-RECEIPT). */
export function testCallReceipts(name: string, send: SendForReceipt, serve = startServer): void {
  describe(`${name}: receipts`, () => {
    const { world, forget, origin, callsOf, comesWhole } = services(send, serve)

    it('K-RECEIPT a receipt is asked for by each dispatch, taken out of the answer, exported, and named by the next entry', async () => {
      const { kest, get, entries, receipts } = world()
      const operation = await kest.begin(root)
      await operation.run(async () => {
        const seen = await get('/honest')
        expect(seen).toMatchObject({ status: 200, body: 'done' })
        expect(seen.names).not.toContain('kest-receipt')
        await get('/honest')
        await (await kest.begin(next)).run(() => {})
      })
      const [first, second] = callsOf()
      expect(first?.nonce).toMatch(/^[A-Za-z0-9_-]{22}$/)
      expect(first?.nonce).not.toBe(second?.nonce)
      expect(receipts().map((one) => one['kest.receipt'])).toEqual([first?.receipt, second?.receipt])
      expect(receipts()[0]).toMatchObject({
        'kest.receipt.of': CALLEE,
        'kest.receipt.holder': operation.entry.principal,
      })
      const hashes = receipts().map((one) => one['kest.receipt.hash'])
      expect(entries().map(({ operation, labels }) => [operation, labels['kest.receipts']])).toEqual([
        ['root', undefined],
        ['next', hashes.join(',')],
        ['next#end', undefined],
        ['root#end', undefined],
      ])
    })

    it('K-RECEIPT a receipt that no entry follows is named by the entry that says how the operation has ended', async () => {
      const { kest, get, entries, receipts } = world()
      await (await kest.begin(root)).run(() => get('/honest'))
      expect(entries().at(-1)).toMatchObject({
        operation: 'root#end',
        labels: { 'kest.receipts': receipts()[0]?.['kest.receipt.hash'], 'kest.outcome': 'succeeded' },
      })
    })

    it('K-RECEIPT a receipt is not lineage: it is in no frame and no passport, and is nobody’s parent', async () => {
      const { kest, get, receipts } = world()
      await (await kest.begin(root)).run(async () => {
        await get('/honest')
        const begun = await kest.begin(next)
        const hash = receipts()[0]?.['kest.receipt.hash']
        expect(begun.passport.length).toBe(2)
        expect(begun.passport.entries.some((jws) => jws === receipts()[0]?.['kest.receipt'])).toBe(false)
        expect(begun.entry.entry.parent_ids).not.toContain(hash)
        await begun.run(() => {})
      })
    })

    for (const [path, expected] of Object.entries({
      '/failed': { status: 500, body: 'own words' },
      '/stream': { status: 200, body: 'x'.repeat(500_000) },
      '/trailers': { status: 200, body: 'done' },
    }))
      it(wholeAnswer(path), () => comesWhole(path, expected))

    it('K-RECEIPT one in trailers counts for nothing, and nobody sees it', async () => {
      const { kest, get, receipts } = world()
      await (await kest.begin(root)).run(async () => {
        expect((await get('/only-trailers')).names.filter((one) => one !== 'trailer')).not.toContain(
          'kest-receipt',
        )
      })
      expect(receipts()).toEqual([])
    })

    it('K-RECEIPT without one a call goes on where receipts are accepted, and fails where they are required', async () => {
      const accepting = world()
      await (await accepting.kest.begin(root)).run(async () => {
        expect(await accepting.get('/none')).toMatchObject({ body: 'done' })
      })
      const requiring = world({ mode: 'require' })
      await (await requiring.kest.begin(root)).run(async () => {
        const error = await requiring.get('/none').catch(codeOf)
        expect(error).toMatchObject({ code: 'ERR_KEST_RECEIPT' })
        expect((error as unknown as Error).message).toContain('whether it has acted is not known')
      })
    })

    it('K-RECEIPT where they are required, nothing is sent to an origin for which nobody is configured', async () => {
      const { kest } = receiptCaller({ 'http://elsewhere.test': CALLEE }, { mode: 'require' })
      forget()
      await (await kest.begin(root)).run(async () => {
        const sent = send(`${origin()}/honest`, { kest, propagateTo: [origin()] }).catch(codeOf)
        expect(await sent).toMatchObject({ code: 'ERR_KEST_RECEIPT' })
      })
      expect(callsOf()).toEqual([])
    })

    it('K-RECEIPT nothing is asked of an origin for which nobody is configured, nor where receipts are off', async () => {
      for (const { kest } of [
        receiptCaller({ 'http://elsewhere.test': CALLEE }),
        receiptCaller(undefined, { mode: 'off' }),
      ]) {
        forget()
        await (await kest.begin(root)).run(() => send(`${origin()}/none`, { kest, propagateTo: [origin()] }))
        expect(callsOf()).toEqual([null])
      }
    })

    it('K-RECEIPT two calls at once that are answered with each other’s receipts both fail', async () => {
      const { kest, get, receipts } = world()
      await (await kest.begin(root)).run(async () => {
        const both = await Promise.all([get('/swap').catch(codeOf), get('/swap').catch(codeOf)])
        expect(both).toEqual([
          expect.objectContaining({ code: 'ERR_KEST_RECEIPT' }),
          expect.objectContaining({ code: 'ERR_KEST_RECEIPT' }),
        ])
      })
      expect(receipts()).toEqual([])
    })
  })
}

function wholeAnswer(path: string): string {
  return `K-RECEIPT it comes with an answer of any kind, which is whole: ${path}`
}

/**
 * What a hostile callee cannot do to its caller, whatever client that has (K-RECEIPT).
 * @param why where a client sees the fields of a header otherwise: why it refuses what they say
 */
export function testHostileReceipts(
  name: string,
  send: SendForReceipt,
  serve = startServer,
  why: Readonly<Record<string, string>> = {},
): void {
  describe(`${name}: receipts of a hostile callee`, () => {
    const { world } = services(send, serve)

    const twoTips = async (kest: Kest) => {
      const [one, two] = await Promise.all([
        kest.begin({ ...next, operation: 'left', addedTaints: ['pii'] }),
        kest.begin({ ...next, operation: 'right' }),
      ])
      await one.run(() => {})
      await two.run(() => {})
    }

    it.each(Object.keys(HOSTILE))(
      'K-RECEIPT a hostile callee fails its own call, and changes nothing of its caller, by: %s',
      async (named) => {
        const { kest, get, receipts, entries, logger } = world()
        await (await kest.begin({ ...root, user: 'alice' })).run(async () => {
          await twoTips(kest)
          const before = await kest.begin(next)
          const failed = await get(`/hostile?${encodeURIComponent(named)}`).then(notRefused, codeOf)
          expect(failed).toMatchObject({ code: 'ERR_KEST_RECEIPT' })
          expect(failed.message).toContain(why[named] ?? WHY[named])
          const after = await kest.begin(next)
          expect(same(after.entry.entry)).toEqual(same(before.entry.entry))
          expect(after.state.identity).toEqual(before.state.identity)
          // The next call is none the worse for it.
          expect(await get('/honest')).toMatchObject({ body: 'done' })
          await Promise.all([before.run(() => {}), after.run(() => {})])
        })
        expect(receipts()).toHaveLength(1)
        expect(entries().filter(({ labels }) => labels['kest.receipts'] !== undefined)).toHaveLength(1)
        expect(logger.records.some(({ message }) => message === 'a receipt was refused')).toBe(true)
      },
    )

    it.each(Object.keys(ODD))(
      'K-RECEIPT a receipt changes nobody’s trust, taints, identity or lineage: one that %s',
      async (named) => {
        const { kest, get, receipts } = world()
        await (await kest.begin({ ...root, user: 'alice' })).run(async () => {
          await twoTips(kest)
          const before = await kest.begin(next)
          await get(`/odd?${encodeURIComponent(named)}`)
          const after = await kest.begin(next)
          expect(same(after.entry.entry)).toEqual(same(before.entry.entry))
          expect(after.state.identity).toEqual(before.state.identity)
          expect(after.passport.length).toBe(before.passport.length)
        })
        expect(receipts()).toHaveLength(1)
      },
    )

    it('K-RECEIPT with follow, what comes next has the receipt’s taints, at most its trust, and nobody else’s name', async () => {
      const followed = async (named: string) => {
        const { kest, get } = world({ follow: true })
        const operation = await kest.begin({ ...root, user: 'alice' })
        return operation.run(async () => {
          await twoTips(kest)
          await get(`/odd?${encodeURIComponent(named)}`)
          const { entry, state } = await kest.begin(next)
          return [entry.entry.trust_score, entry.entry.taints, state.identity?.context.user]
        })
      }
      expect(await followed('states another user')).toEqual([100, ['pii'], 'alice'])
      expect(await followed('raises its trust')).toEqual([100, ['pii'], 'alice'])
      expect(await followed('removes taints')).toEqual([100, ['pii'], 'alice'])
      expect(await followed('adds taints')).toEqual([100, ['hostile', 'pii'], 'alice'])
      expect(await followed('has no trust')).toEqual([0, ['pii'], 'alice'])
      expect(await followed("claims Kest's own taints")).toEqual([100, ['pii'], 'alice'])
    })
  })
}

/** What a receipt could have changed of what comes next. */
function same({ trust_score, taints, added_taints, parent_ids, labels }: KestEntry) {
  const { 'kest.seq': _, 'kest.receipts': __, ...rest } = labels
  return { trust_score, taints, added_taints, parent_ids, labels: rest }
}

function notRefused(): never {
  throw new Error('it was not refused')
}

/** What a call failed with; fetch has it as a cause. */
function codeOf(error: unknown): { readonly code?: unknown; readonly message?: string } {
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: { readonly code?: unknown } }
  return typeof code === 'string' && code.startsWith('ERR_KEST')
    ? (error as Error & { code: string })
    : ((cause ?? error) as { code?: unknown })
}
