import {
  type Metadata,
  Server,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js'
import type { MockDecisions } from '@kest/core/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { CALLEE, receiptCallee, receiptCaller } from '../../../tests/outbound/receipts.js'
import { type KestGrpcOptions, kestGrpc } from '../src/index.js'
import { Echo, FORMS, type Form, failureOf, type Handle, implementation, metadataOf } from './support/echo.js'
import { callForReceipt } from './support/receipts.js'
import { bind, deferred, METHODS } from './support/world.js'

const root = { operation: 'root', policy: 'test', origin: 'system' } as const
const LEAK = metadataOf({ 'kest-receipt': 'of.somebody.else', other: 'stays' })

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.forceShutdown()
})

interface Serving {
  readonly options?: Partial<KestGrpcOptions>
  readonly decisions?: MockDecisions
  readonly others?: readonly ServerInterceptor[]
  readonly mode?: 'accept' | 'require'
  readonly methods?: ReturnType<typeof implementation>
  readonly service?: ServiceDefinition
}

/** A service behind `kestGrpc`, and who calls it and asks for receipts. */
async function called(
  handle: Handle,
  { options, decisions, others = [], mode, methods, service = Echo }: Serving = {},
) {
  const callee = receiptCallee(decisions)
  /** What leaves, as gRPC is given it. */
  const sent: string[] = []
  const witness: ServerInterceptor = (_, call) => {
    const seen = (what: string, metadata: Metadata | null | undefined): void => {
      sent.push(...(metadata?.get('kest-receipt') ?? []).map((value) => `${what} ${value}`))
    }
    return new ServerInterceptingCall(call, {
      sendMetadata(metadata, next) {
        seen('metadata', metadata)
        next(metadata)
      },
      sendStatus(ended, next) {
        seen('status', ended.metadata)
        next(ended)
      },
    })
  }
  const own = kestGrpc({ kest: callee.kest, methods: METHODS, ...options })
  const server = new Server({ interceptors: [witness, own, ...others] })
  servers.push(server)
  server.addService(service, methods ?? implementation(handle))
  const origin = `http://127.0.0.1:${await bind(server)}`
  const caller = receiptCaller({ [origin]: CALLEE }, { mode: mode ?? 'require' })
  const rule = { kest: caller.kest, propagateTo: [origin] }
  const call = (form: Form = 'unary') => callForReceipt(`${origin}/m`, rule, { form })
  const within = async <T>(fn: () => Promise<T>): Promise<T> => (await caller.kest.begin(root)).run(fn)
  return { ...caller, callee, sent, call, within }
}

/** Asks until it is so. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
}

const ends = (entries: ReturnType<ReturnType<typeof receiptCallee>['entries']>): string[] =>
  entries.flatMap(({ operation, labels }) =>
    labels['kest.outcome'] === undefined ? [] : [`${operation} ${labels['kest.outcome']}`],
  )

const NAMES = { unary: 'Unary', clientStream: 'ClientStream', serverStream: 'ServerStream', bidi: 'Bidi' }

describe('a call that asks for a receipt', () => {
  it.each(FORMS)('K-RECEIPT K-OUTCOME is answered with the entry of the call, once: %s', async (form) => {
    const { call, callee, sent, within, receipts } = await called(() => 'm')
    await within(() => call(form).seen)
    await until(() => callee.entries().length === 2)
    const [entry] = callee.entries()
    expect(entry?.operation).toBe(`/kest.test.Echo/${NAMES[form]}`)
    expect(receipts().map((one) => one['kest.receipt'])).toEqual(sent.map((one) => one.split(' ')[1]))
    expect(sent).toHaveLength(1)
    expect(sent[0]).toMatch(/^metadata /)
    expect(ends(callee.entries())).toEqual([`/kest.test.Echo/${NAMES[form]}#end succeeded`])
  })

  it.each(FORMS)(
    'K-RECEIPT K-OUTCOME has it also where the handler fails, with the status: %s',
    async (form) => {
      const fails: Handle = () => {
        throw Object.assign(new Error('none'), { code: status.NOT_FOUND })
      }
      const { call, callee, sent, within, receipts } = await called(fails)
      await within(async () => {
        expect(await failureOf(call(form).seen)).toMatchObject({ code: status.NOT_FOUND })
      })
      await until(() => callee.entries().length === 2)
      expect(receipts()).toHaveLength(1)
      expect(sent).toHaveLength(1)
      expect(sent[0]).toMatch(/^status /)
      expect(ends(callee.entries())).toEqual([`/kest.test.Echo/${NAMES[form]}#end failed`])
    },
  )

  it('K-RECEIPT has it where a stream fails in its middle, in the metadata alone', async () => {
    const { call, callee, sent, within, receipts } = await called(() => 'm', {
      methods: {
        ...implementation(() => 'm'),
        serverStream: ((stream: {
          write(message: unknown): void
          emit(name: string, error: Error): void
        }) => {
          stream.write('m')
          stream.emit('error', Object.assign(new Error('none'), { code: status.ABORTED, metadata: LEAK }))
        }) as never,
      },
    })
    await within(async () => {
      const failure = await failureOf(call('serverStream').seen)
      expect(failure).toMatchObject({ code: status.ABORTED })
      expect(failure.metadata.get('other')).toEqual(['stays'])
    })
    await until(() => callee.entries().length === 2)
    expect(receipts()).toHaveLength(1)
    expect(sent.map((one) => one.split(' ')[0])).toEqual(['metadata'])
    expect(ends(callee.entries())).toEqual(['/kest.test.Echo/ServerStream#end failed'])
  })

  it.each(FORMS)('K-OUTCOME records a call that was cancelled as aborted: %s', async (form) => {
    const reached = deferred()
    const { call, callee, within } = await called(() => {
      reached.resolve()
      return new Promise(() => {})
    })
    await within(async () => {
      const { seen, cancel } = call(form)
      await reached.promise
      cancel()
      expect(await failureOf(seen)).toMatchObject({ code: status.CANCELLED })
    })
    await until(() => callee.entries().length === 2)
    expect(ends(callee.entries())).toEqual([`/kest.test.Echo/${NAMES[form]}#end aborted`])
  })

  it('K-RECEIPT K-OUTCOME has it where the answer is no message, and was aborted by gRPC itself', async () => {
    const { call, callee, sent, within } = await called(() => 1n)
    await within(() => call().seen)
    await until(() => callee.entries().length === 2)
    expect(sent).toHaveLength(1)
    expect(ends(callee.entries())).toEqual(['/kest.test.Echo/Unary#end aborted'])
  })

  it('K-RECEIPT K-OUTCOME has none where gRPC itself answers a message that it cannot read', async () => {
    const requestDeserialize = (): never => {
      throw new Error('no message')
    }
    const service = { ...Echo, unary: { ...Echo.unary, requestDeserialize } }
    const { call, callee, within } = await called(() => 'm', { service })
    await within(async () => {
      expect(await failureOf(call().seen)).toMatchObject({ cause: { code: 'ERR_KEST_RECEIPT' } })
    })
    await until(() => callee.entries().length === 2)
    expect(ends(callee.entries())).toEqual(['/kest.test.Echo/Unary#end aborted'])
  })

  it('K-RECEIPT has none where it is refused, which fails it where there must be one, whatever the status', async () => {
    const accepting = await called(() => 'm', { decisions: false, mode: 'accept' })
    await accepting.within(async () => {
      expect(await failureOf(accepting.call().seen)).toMatchObject({ code: status.PERMISSION_DENIED })
    })
    const requiring = await called(() => 'm', { decisions: false })
    await requiring.within(async () => {
      const failure = await failureOf(requiring.call().seen)
      expect(failure).toMatchObject({ code: status.INTERNAL, cause: { code: 'ERR_KEST_RECEIPT' } })
    })
    expect([...accepting.sent, ...requiring.sent]).toEqual([])
  })
})

describe('what an application says is a receipt', () => {
  const leaks: Handle = (_, call) => {
    ;(call as unknown as { sendMetadata(metadata: Metadata): void }).sendMetadata(LEAK)
    return 'm'
  }
  /** In metadata and in the status. */
  const leaking = implementation(leaks)
  const both: Serving['methods'] = {
    ...leaking,
    unary: ((call: never, callback: (error: null, value: string, trailers: Metadata) => void) => {
      leaks(null, call)
      callback(null, 'm', LEAK)
    }) as never,
  }
  const alone: Serving['methods'] = {
    ...leaking,
    unary: ((_: never, callback: (error: Error) => void) => {
      callback(Object.assign(new Error('none'), { code: status.ABORTED, metadata: LEAK }))
    }) as never,
  }

  it('K-RECEIPT is removed from metadata and trailers, and the call’s own is put there', async () => {
    const { call, sent, within, receipts } = await called(leaks, { methods: both })
    await within(async () => {
      expect(await call().seen).toMatchObject({ status: 200, names: expect.arrayContaining(['other']) })
    })
    expect(sent).toEqual([`metadata ${receipts()[0]?.['kest.receipt']}`])
    // It is the application's, for the next call.
    expect(LEAK.get('kest-receipt')).toEqual(['of.somebody.else'])
  })

  it('K-RECEIPT is removed from a status alone, and the call’s own is put there', async () => {
    const { call, sent, within, receipts } = await called(leaks, { methods: alone })
    await within(async () => {
      const failure = await failureOf(call().seen)
      expect(failure.metadata.get('other')).toEqual(['stays'])
    })
    expect(sent).toEqual([`status ${receipts()[0]?.['kest.receipt']}`])
  })

  it('K-RECEIPT is removed where an interceptor answers before anything was decided', async () => {
    const hasty: ServerInterceptor = (_, call) => {
      call.sendMetadata(LEAK)
      return new ServerInterceptingCall(call)
    }
    const { call, sent, within } = await called(() => 'm', { others: [hasty], mode: 'accept' })
    await within(() => call().seen)
    expect(sent).toEqual([])
  })

  it.each([
    ['at an edge', { origin: 'user_input' }],
    ['of a method that is open', { methods: {}, open: ['/kest.test.Echo/*'] }],
  ] as const)('K-RECEIPT is removed, and nothing is in its place: %s', async (_, options) => {
    for (const methods of [both, alone]) {
      const { call, sent, within } = await called(leaks, { options, methods, mode: 'accept' })
      await within(() => call().seen.catch((error) => expect(error.code).toBe(status.ABORTED)))
      expect(sent).toEqual([])
    }
  })
})
