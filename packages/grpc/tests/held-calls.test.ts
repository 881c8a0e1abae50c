import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { status } from '@grpc/grpc-js'
import { currentState, type KeySource } from '@kest/core'
import { afterEach, describe, expect, it } from 'vitest'
import { CALLEE, HOSTILE, receiptCaller, receiptFor, TRUST } from '../../../tests/outbound/receipts.js'
import type { Received, TestServer } from '../../../tests/outbound/server.js'
import { uncaughtErrors } from '../../../tests/outbound/uncaught.js'
import { FORMS, failureOf } from './support/echo.js'
import { frame, HEAD, type RawAnswer, sendAll, startRawServer } from './support/raw-server.js'
import { type Calling, callForReceipt } from './support/receipts.js'
import { deferred } from './support/world.js'

const root = { operation: 'root', policy: 'test', origin: 'system' } as const

let server: TestServer
afterEach(() => server.close())

/** A caller of a server that answers by hand. */
async function calling(answer: RawAnswer, mode: 'accept' | 'require' = 'require', trust: KeySource = TRUST) {
  server = await startRawServer(answer)
  const caller = receiptCaller({ [server.origin]: CALLEE }, { mode }, { trust })
  const rule = { kest: caller.kest, propagateTo: [server.origin] }
  const told: string[] = []
  const call = (options: Calling = {}) => callForReceipt(`${server.origin}/x`, rule, options, told)
  const within = async <T>(fn: () => Promise<T>): Promise<T> => (await caller.kest.begin(root)).run(fn)
  return { ...caller, told, call, within }
}

/** Keys that are found when they are let go; until then whoever looks for them waits. */
function slowKeys() {
  const [asked, gate] = [deferred(), deferred()]
  const trust: KeySource = {
    ...TRUST,
    find: async (query) => {
      asked.resolve()
      await gate.promise
      return TRUST.find(query)
    },
  }
  return { trust, asked: asked.promise, letGo: gate.resolve }
}

async function honest({ headers }: Received) {
  const asked = await receiptFor(headers)
  return { asked, head: { 'kest-receipt': asked?.receipt ?? '' } }
}

const answered: RawAnswer = async (call, stream) => sendAll(stream, (await honest(call)).head, ['m'])

/** Waits for everything that is about to happen. */
const settled = async (): Promise<void> => {
  for (let n = 0; n < 20; n++) await new Promise(setImmediate)
}

const HEDGING = { hedgingPolicy: { maxAttempts: 2, hedgingDelay: '0.001s', nonFatalStatusCodes: [] } }
const RETRYING = {
  retryPolicy: {
    maxAttempts: 2,
    initialBackoff: '0.01s',
    maxBackoff: '0.01s',
    backoffMultiplier: 1,
    retryableStatusCodes: ['UNAVAILABLE'],
  },
}

/** A channel of this policy. */
function channel(policy: object): Calling['client'] {
  const methodConfig = [{ name: [{ service: 'kest.test.Echo' }], ...policy }]
  return { 'grpc.service_config': JSON.stringify({ methodConfig }) }
}

describe('an answer whose receipt is looked at', () => {
  it.each(FORMS)('K-RECEIPT is held until then, and told whole and in its order: %s', async (form) => {
    const { trust, asked, letGo } = slowKeys()
    const { call, told, within, receipts } = await calling(answered, 'require', trust)
    await within(async () => {
      const { seen } = call({ form })
      await asked
      await settled()
      expect(told).toEqual([])
      letGo()
      expect(await seen).toMatchObject({ status: 200, body: 'm' })
    })
    expect(told).toEqual(['metadata', 'message', 'status 0'])
    expect(receipts()).toHaveLength(1)
  })

  it.each(FORMS)(
    'K-RECEIPT is not told at all where it does not hold, and is no more read: %s',
    async (form) => {
      const { trust, asked, letGo } = slowKeys()
      const closed = deferred<number | undefined>()
      const { call, told, within } = await calling(
        async (call, stream) => {
          stream.on('close', () => closed.resolve(stream.rstCode))
          const { asked } = await honest(call)
          if (asked === null) return
          const [receipt] = HOSTILE['a signature of which a bit is another']?.(asked) ?? []
          stream.respond({ ...HEAD, 'kest-receipt': receipt })
          // And goes on for ever.
          stream.write(frame('m'))
        },
        'accept',
        trust,
      )
      await within(async () => {
        const { seen } = call({ form })
        await asked
        letGo()
        const failure = await failureOf(seen)
        expect(failure).toMatchObject({ code: status.INTERNAL, cause: { code: 'ERR_KEST_RECEIPT' } })
        expect(failure.metadata.get('kest-error')).toEqual(['ERR_KEST_RECEIPT'])
        expect(failure.details).toContain('signature')
      })
      // NGHTTP2_CANCEL
      expect(await closed.promise).toBe(8)
      expect(told).toEqual([`error ${status.INTERNAL}`, `status ${status.INTERNAL}`])
    },
  )

  it.each(FORMS)(
    'K-RECEIPT is told no more to who cancels meanwhile, though all of it has come: %s',
    async (form) => {
      const { trust, asked, letGo } = slowKeys()
      const { call, told, within } = await calling(answered, 'require', trust)
      await within(async () => {
        const { seen, cancel } = call({ form })
        await asked
        await settled()
        cancel()
        // As ever, not within the call of it.
        expect(told).toEqual([])
        const failure = await failureOf(seen)
        expect(failure).toMatchObject({ code: status.CANCELLED })
        letGo()
        await settled()
      })
      expect(told).toEqual([`error ${status.CANCELLED}`, `status ${status.CANCELLED}`])
    },
  )

  it.each(['1', '4'])(
    'K-RECEIPT is told whole also where the callee ends it with status %s',
    async (code) => {
      const { trust, asked, letGo } = slowKeys()
      const own = { 'grpc-status': code, 'grpc-message': 'own words', 'x-own': 'own' }
      const { call, told, within } = await calling(
        async (call, stream) => sendAll(stream, (await honest(call)).head, ['m'], own),
        'require',
        trust,
      )
      await within(async () => {
        const { seen } = call({ form: 'serverStream' })
        await asked
        await settled()
        expect(told).toEqual([])
        letGo()
        const failure = await failureOf(seen)
        expect(failure).toMatchObject({ code: Number(code), details: 'own words' })
        expect(failure.metadata.get('x-own')).toEqual(['own'])
      })
      expect(told.slice(0, 3)).toEqual(['metadata', 'message', `error ${code}`])
    },
  )

  it.each(FORMS)(
    'K-RECEIPT is told no further to who cancels when the metadata is told: %s',
    async (form) => {
      const { trust, asked, letGo } = slowKeys()
      const { call, told, within } = await calling(answered, 'require', trust)
      await within(async () => {
        const { seen, cancel } = call({ form, onMetadata: () => cancel() })
        await asked
        await settled()
        letGo()
        expect(await failureOf(seen)).toMatchObject({ code: status.CANCELLED })
        await settled()
      })
      expect(told).toEqual(['metadata', 'error 1', 'status 1'])
    },
  )

  it.each(FORMS)('K-RECEIPT is told whole, whatever a listener throws: %s', async (form) => {
    const errors = uncaughtErrors()
    const { call, told, within } = await calling(answered)
    const throws = (): never => {
      throw new Error('a listener’s own')
    }
    await within(async () => {
      expect(await call({ form, onMetadata: throws }).seen).toMatchObject({ status: 200, body: 'm' })
    })
    expect(told).toEqual(['metadata', 'message', 'status 0'])
    expect(errors).toEqual([new Error('a listener’s own')])
  })

  it('K-RECEIPT is told no more when the deadline passes meanwhile', async () => {
    const { trust, letGo } = slowKeys()
    const { call, told, within } = await calling(answered, 'require', trust)
    await within(async () => {
      const failure = await failureOf(call({ deadline: Date.now() + 1000 }).seen)
      expect(failure).toMatchObject({ code: status.DEADLINE_EXCEEDED })
      letGo()
      await settled()
    })
    expect(told).toEqual(['error 4', 'status 4'])
  })

  it('K-RECEIPT is told all the same when the connection breaks meanwhile, as the failure that it is', async () => {
    const { trust, asked, letGo } = slowKeys()
    let stream: ServerHttp2Stream | undefined
    const { call, told, within, receipts } = await calling(
      async (call, given) => {
        stream = given
        given.respond({ ...HEAD, ...(await honest(call)).head })
        given.write(frame('m'))
      },
      'require',
      trust,
    )
    await within(async () => {
      const { seen } = call({ form: 'serverStream' })
      await asked
      stream?.session?.destroy()
      await settled()
      expect(told).toEqual([])
      letGo()
      expect(await failureOf(seen)).toMatchObject({ code: status.UNAVAILABLE })
    })
    expect(told[0]).toBe('metadata')
    expect(receipts()).toHaveLength(1)
  })

  it('K-STATE what is told late runs where the call was made', async () => {
    const { trust, asked, letGo } = slowKeys()
    const { call, within } = await calling(answered, 'require', trust)
    await within(async () => {
      const own = currentState()
      const { seen } = call()
      await asked
      letGo()
      await seen
      expect(currentState()).toBe(own)
    })
  })
})

describe('a status alone', () => {
  const alone =
    (code: string, receipted = true): RawAnswer =>
    async (call, stream) => {
      const { head } = await honest(call)
      stream.respond({ ...HEAD, 'grpc-status': code, ...(receipted && head) }, { endStream: true })
    }

  it('K-RECEIPT is an answer, and has the receipt', async () => {
    const { call, within, receipts } = await calling(alone('5'))
    await within(async () => {
      expect(await failureOf(call().seen)).toMatchObject({ code: status.NOT_FOUND })
    })
    expect(receipts()).toHaveLength(1)
  })

  it.each(['5', '0'])(
    'K-RECEIPT fails as one without a receipt where there must be one: %s',
    async (code) => {
      const { call, within } = await calling(alone(code, false))
      await within(async () => {
        const failure = await failureOf(call({ form: 'serverStream' }).seen)
        expect(failure).toMatchObject({ code: status.INTERNAL, cause: { code: 'ERR_KEST_RECEIPT' } })
        expect(failure.details).toContain('whether it has acted is not known')
      })
    },
  )

  it.each(['0', '3', '5', '6', '9', '10', '11', '12', '15', '99', 'x'])(
    'K-RECEIPT is an answer also where nothing else is in it, if gRPC ends no call with it by itself: %s',
    async (code) => {
      const bare: RawAnswer = (_, stream) => {
        stream.respond({ ':status': 200, 'grpc-status': code }, {
          endStream: true,
          sendDate: false,
        } as object)
      }
      const { call, within } = await calling(bare)
      await within(async () => {
        const failure = await failureOf(call({ form: 'bidi' }).seen)
        expect(failure).toMatchObject({ code: status.INTERNAL, cause: { code: 'ERR_KEST_RECEIPT' } })
      })
    },
  )

  it('K-RECEIPT is what it was without one where receipts are accepted', async () => {
    const { call, within } = await calling(alone('5', false), 'accept')
    await within(async () => {
      expect(await failureOf(call().seen)).toMatchObject({ code: status.NOT_FOUND })
    })
  })

  it('K-RECEIPT of somebody who speaks no gRPC is an answer without a receipt', async () => {
    const proxy: RawAnswer = (_, stream) => {
      stream.respond({ ':status': 502, 'content-type': 'text/html' }, { endStream: true })
    }
    const { call, within } = await calling(proxy)
    await within(async () => {
      expect(await failureOf(call().seen)).toMatchObject({ cause: { code: 'ERR_KEST_RECEIPT' } })
    })
  })
})

describe('a call that is not answered', () => {
  it('K-RECEIPT fails as it would without receipts: a stream that is reset', async () => {
    const { call, within } = await calling((_, stream) => stream.close(11))
    await within(async () => {
      expect(await failureOf(call().seen)).toMatchObject({ code: status.RESOURCE_EXHAUSTED })
    })
  })

  it('K-RECEIPT fails as it would without receipts: nobody listens', async () => {
    const { call, within } = await calling(() => {})
    await server.close()
    await within(async () => {
      expect(await failureOf(call().seen)).toMatchObject({ code: status.UNAVAILABLE })
    })
    server = await startRawServer(() => {})
  })

  it('K-RECEIPT fails by its deadline, and hears nothing of an answer that comes later', async () => {
    const late = deferred()
    const { call, told, within } = await calling(async (call, stream) => {
      await late.promise
      if (!stream.destroyed) await answered(call, stream)
    })
    await within(async () => {
      expect(await failureOf(call({ deadline: Date.now() + 300 }).seen)).toMatchObject({
        code: status.DEADLINE_EXCEEDED,
      })
      late.resolve()
      await settled()
    })
    expect(told).toEqual(['error 4', 'status 4'])
  })
})

describe('an attempt', () => {
  /** What attempts have asked for. */
  const names = (): string[] =>
    server.received.map(
      ({ headers }) => /kest\.receipt=([\w-]{22})/.exec(String(headers['baggage']))?.[1] ?? '',
    )

  it('K-RECEIPT asks for a receipt of its own, and one that is tried again for gRPC is nobody’s answer', async () => {
    const { call, within, receipts } = await calling(async (call, stream) => {
      if (server.received.length > 1) {
        await answered(call, stream)
        return
      }
      stream.respond({ ...HEAD, 'grpc-status': '14', ...(await honest(call)).head }, { endStream: true })
    })
    await within(() => call({ client: channel(RETRYING) }).seen)
    expect(names()).toHaveLength(2)
    expect(new Set(names()).size).toBe(2)
    expect(receipts()).toHaveLength(1)
  })

  it('K-RECEIPT that is tried again is not answered with the receipt of the one before', async () => {
    let before: OutgoingHttpHeaders = {}
    const { call, within, receipts } = await calling(async (call, stream) => {
      if (server.received.length > 1) {
        sendAll(stream, before, ['m'])
        return
      }
      before = (await honest(call)).head
      stream.respond({ ...HEAD, 'grpc-status': '14' }, { endStream: true })
    }, 'accept')
    await within(async () => {
      const failure = await failureOf(call({ client: channel(RETRYING) }).seen)
      expect(failure.details).toContain('another request')
    })
    expect(receipts()).toEqual([])
  })

  it.each(['7', '-1', 'x', 'Infinity'])(
    'K-RECEIPT is the only one, whatever the callee says of others before: %s',
    async (before) => {
      const { call, within, receipts } = await calling(async (call, stream) =>
        sendAll(stream, { ...(await honest(call)).head, 'grpc-previous-rpc-attempts': before }, ['m']),
      )
      await within(() => call().seen)
      expect(receipts()).toHaveLength(1)
    },
  )

  it.each([0, 1])('K-RECEIPT of several at once is judged as the one that was answered: %s', async (n) => {
    const both: [Received, ServerHttp2Stream][] = []
    const { call, within, receipts } = await calling(async (call, stream) => {
      both.push([call, stream])
      const chosen = both.length === 2 ? both[n] : undefined
      if (chosen !== undefined) await answered(...chosen)
    })
    await within(() => call({ client: channel(HEDGING) }).seen)
    expect(new Set(names()).size).toBe(2)
    expect(receipts()).toHaveLength(1)
  })

  it('K-RECEIPT of several at once that is answered with a receipt of none fails', async () => {
    const strange = HOSTILE['the receipt of another request']
    const { call, within } = await calling(async (call, stream) => {
      if (server.received.length < 2) return
      const { asked } = await honest(call)
      if (asked !== null) sendAll(stream, { 'kest-receipt': strange?.(asked) as string[] }, ['m'])
    }, 'accept')
    await within(async () => {
      const failure = await failureOf(call({ client: channel(HEDGING) }).seen)
      expect(failure.details).toContain('another request')
    })
  })
})

describe('metadata', () => {
  it('K-RECEIPT of an answer that nobody has asked a receipt for has none for the application', async () => {
    server = await startRawServer((_, stream) =>
      sendAll(stream, { 'kest-receipt': 'a.b.c' }, ['m'], { 'grpc-status': '0', 'kest-receipt': 'd.e.f' }),
    )
    const { kest } = receiptCaller(undefined, { mode: 'off' })
    const { names } = await callForReceipt(`${server.origin}/x`, { kest, propagateTo: [server.origin] }).seen
    expect(names).not.toContain('kest-receipt')
  })
})
