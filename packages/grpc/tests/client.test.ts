import {
  CallCredentials,
  type ClientDuplexStream,
  type ClientOptions,
  credentials,
  InterceptingCall,
  type Interceptor,
  Metadata,
  Server,
  status,
} from '@grpc/grpc-js'
import { KestConfigError } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { whose } from '../../../tests/outbound/accounts.js'
import {
  caller,
  deepWithin,
  gatedCache,
  kest,
  operationsIn,
  within,
} from '../../../tests/outbound/services.js'
import { createKestInterceptor, type KestInterceptorOptions } from '../src/index.js'
import {
  Echo,
  EchoClient,
  FORMS,
  failureOf,
  implementation,
  kestCode,
  metadataOf,
  send,
} from './support/echo.js'
import { bind, deferred } from './support/world.js'

/** What a call came with. */
let received: { readonly message: unknown; readonly baggage: string; readonly metadata: Metadata }[]
let answers: (message: unknown, n: number) => unknown
let server: Server
let address: string
let origin: string
const clients: EchoClient[] = []

beforeEach(async () => {
  received = []
  answers = (message) => message
  server = new Server()
  server.addService(
    Echo,
    implementation((message, { metadata }) => {
      received.push({ message, baggage: metadata.get('baggage').join(), metadata })
      return answers(message, received.length)
    }),
  )
  address = `127.0.0.1:${await bind(server)}`
  origin = `http://${address}`
})
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
  server.forceShutdown()
})

function clientOf(
  rule: Partial<KestInterceptorOptions> = {},
  { interceptors = [], ...options }: ClientOptions = {},
): EchoClient {
  const own = createKestInterceptor({ target: origin, propagateTo: [origin], kest, ...rule })
  const client = new EchoClient(address, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    interceptors: [...interceptors, own],
    ...options,
  })
  clients.push(client)
  return client
}

/** Tries again at once, twice. */
const RETRYING: ClientOptions = {
  'grpc.service_config': JSON.stringify({
    methodConfig: [
      {
        name: [{ service: 'kest.test.Echo' }],
        retryPolicy: {
          maxAttempts: 3,
          initialBackoff: '0.01s',
          maxBackoff: '0.01s',
          backoffMultiplier: 1,
          retryableStatusCodes: ['UNAVAILABLE'],
        },
      },
    ],
  }),
}

function unavailable(): Error {
  return Object.assign(new Error('later'), { code: status.UNAVAILABLE, details: 'later' })
}

function hopToken(baggage: string): { readonly aud: string; readonly jti: string } {
  const payload = /kest\.hop=[^.]*\.([^.]*)\./.exec(baggage)?.[1] ?? ''
  return JSON.parse(Buffer.from(payload, 'base64url').toString())
}

describe('an attempt', () => {
  it('K-HOP has a token of its own, for the target', async () => {
    answers = (message, n) => {
      if (n < 3) throw unavailable()
      return message
    }
    const client = clientOf({ hop: true }, RETRYING)
    expect(await within('op', () => send(client, 'unary', 'm'))).toEqual(['m'])
    const tokens = received.map(({ baggage }) => hopToken(baggage))
    expect(tokens.map(({ aud }) => aud)).toEqual([origin, origin, origin])
    expect(new Set(tokens.map(({ jti }) => jti)).size).toBe(3)
  })

  it('K-STATE is its caller’s, whoever else tries again on the same connection', async () => {
    const tries = new Map<unknown, number>()
    answers = (message) => {
      tries.set(message, (tries.get(message) ?? 0) + 1)
      if ((tries.get(message) ?? 0) < 3) throw unavailable()
      return message
    }
    const client = clientOf({ hop: true }, RETRYING)
    const users = ['bob', 'carol', 'dave', 'erin']
    await Promise.all(users.map((user) => within(user, () => send(client, 'unary', user))))
    expect(received).toHaveLength(12)
    for (const { message, baggage } of received) expect(await operationsIn({ baggage })).toEqual([message])
  })

  it('K-STATE is its caller’s where an interceptor of the application tries again', async () => {
    answers = (message, n) => {
      if (n < 3) throw unavailable()
      return message
    }
    const client = clientOf({}, { interceptors: [retrying] })
    await within('bob', () => send(client, 'unary', 'bob')).catch(() => {})
    received.length = 0
    expect(await within('carol', () => send(client, 'unary', 'carol'))).toEqual(['carol'])
    for (const { baggage } of received) expect(await operationsIn({ baggage })).toEqual(['carol'])
  })

  it('K-STATE is not sent once the state is over', async () => {
    const client = clientOf()
    const state = await within('op', () => kest.keep())
    state.end()
    const failure = await failureOf(state.run(() => send(client, 'unary', 'm')))
    expect([failure.code, kestCode(failure)]).toEqual([status.INTERNAL, 'ERR_KEST_STATE_ENDED'])
    expect(received).toEqual([])
  })
})

/** As the guide of gRPC shows it: the call is made anew where its status arrives. */
const retrying: Interceptor = (options, nextCall) => {
  let sent: unknown
  let given: Metadata
  return new InterceptingCall(nextCall(options), {
    start(metadata, caller, next) {
      given = metadata
      next(metadata, {
        onReceiveMessage: (message, forward) => message !== null && forward(message),
        onReceiveStatus: (ended, forward) => (ended.code === status.OK ? forward(ended) : again(2)),
      })

      function again(left: number): void {
        let answer: unknown
        const call = nextCall(options)
        call.start(given, {
          onReceiveMetadata: () => {},
          onReceiveMessage: (message) => {
            answer = message
          },
          onReceiveStatus: (ended) => {
            if (ended.code !== status.OK && left > 0) return again(left - 1)
            caller.onReceiveMessage(answer)
            caller.onReceiveStatus(ended)
          },
        })
        call.sendMessage(sent)
        call.halfClose()
      }
    },
    sendMessage(message, next) {
      sent = message
      next(message)
    },
  })
}

describe('what a call runs', () => {
  it.each(FORMS)(
    'K-STATE runs where the call was made, and not where the connection was opened: %s',
    async (form) => {
      const client = clientOf()
      const seen: string[] = []
      await within('bob', () => send(client, 'unary', 'opens the connection'))
      await within('carol', async () => {
        const sent = send(client, form, 'm', {
          made: (call) => {
            const emitter = call as unknown as ClientDuplexStream<unknown, unknown>
            for (const event of ['metadata', 'data', 'end', 'status'])
              emitter.on(event as 'end', () => seen.push(`${event} ${whose()}`))
            if (form === 'clientStream' || form === 'bidi')
              emitter.write('first', () => seen.push(`write ${whose()}`))
          },
        })
        await sent
      })
      await vi.waitFor(() => expect(seen.some((text) => text.startsWith('status'))).toBe(true))
      expect(seen.map((text) => text.split(' ').at(1))).toEqual(seen.map(() => 'carol'))
      const events = seen.map((text) => text.split(' ').at(0))
      expect(events).toEqual(expect.arrayContaining(['metadata', 'status']))
      if (form === 'serverStream' || form === 'bidi')
        expect(events).toEqual(expect.arrayContaining(['data', 'end']))
      if (form === 'clientStream' || form === 'bidi') expect(events).toContain('write')
    },
  )

  it('K-STATE its callback too, where it was answered and where it failed', async () => {
    const client = clientOf()
    await within('bob', () => send(client, 'unary', 'opens the connection'))
    answers = (message) => {
      if (message === 'no') throw unavailable()
      return message
    }
    const seen = await within('carol', () =>
      Promise.all(
        ['yes', 'no'].map(
          (message) =>
            new Promise((resolve) => {
              client['unary']!(message, () => resolve(whose()))
            }),
        ),
      ),
    )
    expect(seen).toEqual(['carol', 'carol'])
  })

  it('K-AMBIENT calls made in it carry on the lineage', async () => {
    const client = clientOf()
    await within('bob', () => send(client, 'unary', 'opens the connection'))
    await within(
      'carol',
      () =>
        new Promise((resolve) => {
          client['unary']!('first', () => client['unary']!('second', resolve))
        }),
    )
    expect(await operationsIn({ baggage: received[2]!.baggage })).toEqual(['carol'])
  })
})

describe('a decision that is waited for', () => {
  it.each(FORMS)('ends with the deadline of the call: nothing is sent, %s', async (form) => {
    const { provider, open } = gatedCache()
    const by = caller({ cache: provider })
    const client = clientOf({ kest: by })
    const failure = await failureOf(
      deepWithin(12, by, () => send(client, form, 'm', { options: { deadline: Date.now() + 300 } })),
    )
    expect(failure.code).toBe(status.DEADLINE_EXCEEDED)
    open()
    await send(client, 'unary', 'after')
    expect(received.map(({ message }) => message)).toEqual(['after'])
  })

  it.each(FORMS)('ends where the call is cancelled: nothing is sent, %s', async (form) => {
    const { provider, asked, open } = gatedCache()
    const by = caller({ cache: provider })
    const client = clientOf({ kest: by })
    const made = deferred<{ cancel(): void }>()
    const failure = failureOf(
      deepWithin(12, by, () => send(client, form, 'm', { made: made.resolve })) as Promise<unknown>,
    )
    await asked
    ;(await made.promise).cancel()
    expect((await failure).code).toBe(status.CANCELLED)
    open()
    await send(client, 'unary', 'after')
    expect(received.map(({ message }) => message)).toEqual(['after'])
  })

  it.each(FORMS)('holds the call, and what is written arrives in order: %s', async (form) => {
    const { provider, asked, open } = gatedCache()
    const by = caller({ cache: provider })
    const client = clientOf({ kest: by })
    const sent = deepWithin(12, by, () => send(client, form, 'm')) as Promise<unknown[]>
    await asked
    open()
    expect((await sent).flat()).toEqual(form === 'unary' ? ['m'] : ['m', 'm'])
    expect(received[0]?.baggage).toMatch(/^kest\.claim_check=/)
  })
})

describe('other credentials', () => {
  const bearer = () =>
    CallCredentials.createFromMetadataGenerator((_, callback) =>
      callback(null, metadataOf({ authorization: 'Bearer x', baggage: 'kest.user=eve,theirs=1' })),
    )

  it('of the call are sent as well, and what they say of kest.* is removed', async () => {
    const client = clientOf()
    await within('op', () =>
      send(client, 'unary', 'm', {
        metadata: metadataOf({ baggage: 'own=1' }),
        options: { credentials: bearer() },
      }),
    )
    const [{ metadata, baggage }] = received as [(typeof received)[number]]
    expect(metadata.get('authorization')).toEqual(['Bearer x'])
    expect(baggage).toMatch(/^kest\.passport=[^,]+,kest\.chain_tip=[0-9a-f]{64},own=1,theirs=1$/)
  })

  it('that fail end the call as they do without', async () => {
    const failing = CallCredentials.createFromMetadataGenerator((_, callback) =>
      callback(Object.assign(new Error('no token'), { code: status.UNAUTHENTICATED })),
    )
    const client = clientOf()
    const failure = await failureOf(send(client, 'unary', 'm', { options: { credentials: failing } }))
    expect([failure.code, kestCode(failure)]).toEqual([status.UNAUTHENTICATED, ''])
    expect(failure.details).toContain('no token')
  })
})

describe('metadata', () => {
  it('of the application is not changed, and may serve many calls', async () => {
    const metadata = metadataOf({ baggage: ['a=1', 'kest.user=eve'], 'x-other': 'y' })
    const before = metadata.toJSON()
    const client = clientOf()
    for (const user of ['bob', 'carol']) await within(user, () => send(client, 'unary', 'm', { metadata }))
    expect(metadata.toJSON()).toEqual(before)
    for (const [n, user] of ['bob', 'carol'].entries())
      expect(await operationsIn({ baggage: received[n]!.baggage })).toEqual([user])
  })

  it('keeps its options', async () => {
    const metadata = new Metadata({ waitForReady: true })
    metadata.set('baggage', 'a=1')
    const spy = vi.fn()
    const looking: Interceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start(given, listener, next) {
          spy(given.getOptions())
          next(given, listener)
        },
      })
    const own = createKestInterceptor({ target: origin, propagateTo: [], kest })
    const client = clientOf({}, { interceptors: [own, looking] })
    await send(client, 'unary', 'm', { metadata })
    expect(spy).toHaveBeenCalledWith({ waitForReady: true })
  })

  it('K-SIZE of the size that is sent by default reaches a server', async () => {
    const client = clientOf()
    const others = Array.from({ length: 40 }, (_, n) => `m${n}=${'x'.repeat(100)}`).join()
    await within('op', () => send(client, 'unary', 'm', { metadata: metadataOf({ baggage: others }) }))
    expect(received[0]!.baggage.length).toBeGreaterThan(4500)
  })

  it('K-SIZE that is larger than a server takes ends the call with a status, and not the next one', async () => {
    const propagation = { maxMemberLength: 200_000, maxHeaderLength: 200_000 }
    const client = clientOf({ kest: caller({ propagation }) })
    const others = Array.from({ length: 1500 }, (_, n) => `m${n}=${'x'.repeat(100)}`).join()
    const metadata = metadataOf({ baggage: others })
    const failure = await failureOf(
      within('op', () => send(client, 'unary', 'm', { metadata })) as Promise<unknown>,
    )
    expect(failure.code).not.toBe(status.OK)
    expect(received).toEqual([])
    expect(await within('op', () => send(client, 'unary', 'm'))).toEqual(['m'])
  })
})

describe('a call that must not be sent', () => {
  it.each(FORMS)('ends with a status, a code and its cause, told where it was made: %s', async (form) => {
    const client = clientOf({ kest: caller({ propagation: { maxMemberLength: 500 } }) })
    const [failure, told] = await within('op', async () => {
      const error = await failureOf(send(client, form, 'm'))
      return [error, whose()] as const
    })
    expect([failure.code, kestCode(failure), told]).toEqual([status.INTERNAL, 'ERR_KEST_TOO_LARGE', 'op'])
    expect(failure).toMatchObject({
      details: expect.stringContaining('500'),
      cause: { code: 'ERR_KEST_TOO_LARGE' },
    })
    expect(received).toEqual([])
  })

  it('is tried again by a retry policy where it is worth it, and then has its passport', async () => {
    let fails = 2
    const by = caller({
      cache: {
        get: () => null,
        setIfAbsent: async () => {
          if (fails-- > 0) throw new Error('refused')
          return true
        },
      },
    })
    const client = clientOf({ kest: by }, RETRYING)
    expect(await deepWithin(12, by, () => send(client, 'unary', 'm'))).toEqual(['m'])
    expect(received).toHaveLength(1)
  })

  it('K-SCOPE neither is one whose rule fails', async () => {
    const client = clientOf({
      propagateTo: () => {
        throw new Error('no')
      },
    })
    const failure = await failureOf(within('op', () => send(client, 'unary', 'm')) as Promise<unknown>)
    expect([failure.code, kestCode(failure)]).toEqual([status.INTERNAL, 'ERR_KEST_OUTBOUND'])
    expect(received).toEqual([])
  })
})

describe('whose passport', () => {
  it('is that of the state that was given, wherever the call is made', async () => {
    const state = await within('bob', () => kest.keep().state)
    const client = clientOf({ state })
    await within('carol', () => send(client, 'unary', 'm'))
    expect(await operationsIn({ baggage: received[0]!.baggage })).toEqual(['bob'])
  })

  it('nobody’s is warned of, where it is in scope', async () => {
    const logger = new RecordingLogger()
    await send(clientOf({ kest: caller({ logger }) }), 'unary', 'm')
    expect(received[0]?.baggage).toBe('')
    expect(logger.records.map(({ message }) => message).join()).toContain('no state was there')
  })
})

describe('among other interceptors', () => {
  const of = (propagateTo: string[]) => createKestInterceptor({ target: origin, propagateTo, kest })

  it('K-SCOPE of two of Kest’s the inner one decides', async () => {
    await within('op', () =>
      send(clientOf({ propagateTo: [] }, { interceptors: [of([origin])] }), 'unary', 'm'),
    )
    await within('op', () => send(clientOf({}, { interceptors: [of([])] }), 'unary', 'm'))
    expect(received[0]?.baggage).toBe('')
    expect(await operationsIn({ baggage: received[1]!.baggage })).toEqual(['op'])
  })

  it('is left out where a call has its own, as grpc-js has it, unless it is among them', async () => {
    const client = clientOf()
    const others: Interceptor[] = [(options, nextCall) => new InterceptingCall(nextCall(options))]
    await within('op', () => send(client, 'unary', 'm', { options: { interceptors: others } }))
    await within('op', () =>
      send(client, 'unary', 'm', { options: { interceptors: [...others, of([origin])] } }),
    )
    expect(received[0]?.baggage).toBe('')
    expect(await operationsIn({ baggage: received[1]!.baggage })).toEqual(['op'])
  })
})

describe('options that are wrong', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no target', { target: undefined }, /target: expected/],
    ['a target of gRPC', { target: 'dns:///orders:50051' }, /target: expected/],
    ['a target without a scheme', { target: 'orders:50051' }, /target: expected/],
    ['a target with a path', { target: 'http://orders:50051/x' }, /target: expected/],
    ['no rule', { propagateTo: undefined }, /propagateTo/],
    ['no state', { state: undefined }, /state: expected/],
    ['redirects', { redirects: 'follow' }, /"redirects"/],
    ['an unknown one', { scope: [] }, /"scope"/],
  ])('%s', (_, options, message) => {
    const all = { target: 'http://orders', propagateTo: [], ...options } as unknown as KestInterceptorOptions
    expect(() => createKestInterceptor(all)).toThrow(KestConfigError)
    expect(() => createKestInterceptor(all)).toThrow(message)
  })
})
