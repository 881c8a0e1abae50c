import { setTimeout as sleep } from 'node:timers/promises'
import { create, toBinary } from '@bufbuild/protobuf'
import { status } from '@grpc/grpc-js'
import { RecordingLogger } from '@kest/core/testing'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Authority } from '../src/dev-authority/authority.js'
import { SpiffeError, WorkloadApiClient, X509Source } from '../src/index.js'
import { createBackoff } from '../src/workload-api/backoff.js'
import { X509BundlesResponseSchema } from '../src/workload-api/workload_pb.js'
import { givenUp } from './support/give-up.js'
import { makeAuthority, makeSvid, until } from './support/material.js'
import { type Script, ScriptedServer, x509Message } from './support/scripted-server.js'

const backoff = () => createBackoff({ stepMs: 20, maxMs: 40 })

let server: ScriptedServer
let authority: Authority
let logger: RecordingLogger
let source: X509Source | undefined

beforeEach(async () => {
  server = new ScriptedServer()
  authority = await makeAuthority()
  logger = new RecordingLogger()
  source = undefined
})

afterEach(() => {
  source?.close()
  server.close()
})

type Send = (message: Uint8Array) => void

/** Streams what `send` is called with, to whoever is connected; a new stream begins with the last message. */
function stream(): { readonly script: Script; readonly send: Send; fail(code: status): void; calls: number } {
  let last: Uint8Array | undefined
  let current: Parameters<NonNullable<Script['fetchX509SVID']>>[0] | undefined
  const control = {
    calls: 0,
    script: {
      fetchX509SVID: (call: NonNullable<typeof current>) => {
        control.calls++
        current = call
        if (last !== undefined) call.write(last)
      },
    },
    send: (message: Uint8Array) => {
      last = message
      current?.write(message)
    },
    fail: (code: status) => {
      current?.emit('error', Object.assign(new Error('scripted'), { code }))
    },
  }
  return control
}

async function connect(
  control: ReturnType<typeof stream>,
  options: { readonly connectTimeoutMs?: number } = {},
): Promise<X509Source> {
  await server.start(control.script)
  source = await X509Source.connect({ address: server.address, backoff, logger, ...options })
  return source
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof SpiffeError) return error.code
    throw error
  }
  return 'none'
}

async function good(hint = ''): Promise<Uint8Array> {
  return x509Message({
    svids: [await makeSvid(authority, 'spiffe://example.org/hop1', { hint })],
    federatedBundles: {},
  })
}

describe('a stream of the Workload API', () => {
  it('is asked for with the security header', async () => {
    const control = stream()
    const seen: unknown[] = []
    control.send(await good())
    const { fetchX509SVID } = control.script
    await connect({
      ...control,
      script: {
        fetchX509SVID: (call) => {
          seen.push(call.metadata.get('workload.spiffe.io'))
          fetchX509SVID?.(call)
        },
      },
    })
    expect(seen).toEqual([['true']])
  })

  it('tells once that the agent went away, whatever it takes to reach it, and when it is back', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const control = stream()
    control.send(await good())
    const connected = await connect(control)
    server.stop()
    await until(() => connected.status().failures > 5)
    expect(logger.records.filter(({ level }) => level !== 'debug')).toMatchObject([
      {
        level: 'error',
        message: 'the Workload API fails: what is known serves on as long as it may',
        details: {
          code: 'ERR_SPIFFE_UNAVAILABLE',
          asked: expect.stringMatching(/^unix:.*api\.sock$/),
          call: 'FetchX509SVID',
        },
      },
    ])
    await server.start(control.script)
    await until(() => {
      // It may have failed once more before it was there.
      vi.advanceTimersByTime(10_000)
      return logger.records.some(({ message }) => message === 'the Workload API works again')
    })
    expect(connected.status().staleSince).toBeNull()
  })

  it('is not said to work again by one call, while it refuses another', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const denied = Object.assign(new Error('no identity issued'), { code: status.PERMISSION_DENIED })
    let identity: Uint8Array | null = null
    await server.start({
      fetchX509SVID: (call) => void (identity === null ? call.emit('error', denied) : call.write(identity)),
      fetchX509Bundles: (call) =>
        void call.write(toBinary(X509BundlesResponseSchema, create(X509BundlesResponseSchema))),
    })
    const client = new WorkloadApiClient({ address: server.address, backoff, logger })
    onTestFinished(() => client.close())
    const seen = { failures: 0, bundles: 0, identities: 0 }
    const stop = client.watchX509({ onUpdate: () => {}, onError: () => seen.failures++ })
    await until(() => seen.failures > 0)
    stop()
    vi.advanceTimersByTime(10_000)
    const onError = (): void => {}
    client.watchX509Bundles({ onUpdate: () => seen.bundles++, onError })
    await until(() => seen.bundles > 0)
    const told = () => logger.records.map(({ message }) => message)
    expect(told()).not.toContain('the Workload API works again')
    identity = await good()
    client.watchX509({ onUpdate: () => seen.identities++, onError })
    await until(() => seen.identities > 0)
    expect(told()).toContain('the Workload API works again')
  })

  it.each([status.INVALID_ARGUMENT, status.UNIMPLEMENTED])(
    'is not asked for again after status %s',
    async (code) => {
      let calls = 0
      await server.start({
        fetchX509SVID: (call) => {
          calls++
          call.emit('error', Object.assign(new Error('scripted'), { code }))
        },
      })
      await expect(X509Source.connect({ address: server.address, backoff, logger })).rejects.toMatchObject({
        code: 'ERR_SPIFFE_REFUSED',
      })
      await sleep(100)
      expect(calls).toBe(1)
    },
  )

  it.each([
    status.UNAVAILABLE,
    status.INTERNAL,
    status.UNKNOWN,
    status.RESOURCE_EXHAUSTED,
    status.PERMISSION_DENIED,
    status.CANCELLED,
  ])('is asked for again after status %s', async (code) => {
    const control = stream()
    control.send(await good())
    const { status: statusOf, current } = { status: () => source?.status(), current: () => source?.current() }
    await connect(control)
    control.fail(code)
    await until(
      () => control.calls === 2 && statusOf()?.staleSince === null && codeOf(() => current()) === 'none',
    )
    expect(statusOf()?.failures).toBe(1)
  })

  it('is asked for again when the server ends it, with a wait that grows and that a message resets', async () => {
    const waits: number[] = []
    let resets = 0
    const inner = createBackoff({ stepMs: 5, maxMs: 15 })
    const watched = () => ({
      next: () => {
        const wait = inner.next()
        waits.push(wait)
        return wait
      },
      reset: () => {
        resets++
        inner.reset()
      },
    })
    let calls = 0
    const message = await good()
    await server.start({
      fetchX509SVID: (call) => {
        if (++calls === 5) call.write(message)
        call.end()
      },
    })
    source = await X509Source.connect({ address: server.address, backoff: watched, logger })
    await until(() => waits.length >= 6)
    expect(waits.slice(0, 6)).toEqual([5, 10, 15, 15, 5, 10])
    expect(resets).toBe(1)
  })

  it('of which a message is no protobuf leaves what there was, stale, and is opened again', async () => {
    const control = stream()
    control.send(await good())
    const connected = await connect(control)
    const svid = connected.current()
    control.send(Uint8Array.of(0xff, 0xff, 0xff))
    await until(() => connected.status().failures > 0)
    expect(connected.status().error?.code).toBe('ERR_SPIFFE_RESPONSE')
    expect(connected.status().staleSince).not.toBeNull()
    expect(connected.current()).toBe(svid)
    control.send(await good())
    await until(() => connected.status().staleSince === null)
    expect(connected.current()).not.toBe(svid)
  })

  it('of which a message is too large says so', async () => {
    await server.start({ fetchX509SVID: (call) => void call.write(new Uint8Array(70_000)) })
    const options = { address: server.address, backoff, logger, maxMessageBytes: 65_536 }
    const error = await givenUp((connectTimeoutMs) => X509Source.connect({ ...options, connectTimeoutMs }))
    expect(error).toMatchObject({
      code: 'ERR_SPIFFE_TIMEOUT',
      cause: { code: 'ERR_SPIFFE_RESPONSE' },
    })
  })

  it('that says nothing for a while is waited for', async () => {
    const control = stream()
    const connecting = connect(control, { connectTimeoutMs: 60_000 })
    await sleep(200)
    control.send(await good())
    expect((await connecting).current().id.path).toBe('/hop1')
  })

  it('that never says anything ends the wait', async () => {
    await expect(connect(stream(), { connectTimeoutMs: 150 })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_TIMEOUT',
    })
  })
})

describe('a message of FetchX509SVID', () => {
  it('without SVIDs withdraws the identity', async () => {
    const control = stream()
    control.send(await good())
    const connected = await connect(control)
    control.send(x509Message({ svids: [], federatedBundles: {} }))
    await until(() => codeOf(() => connected.current()) === 'ERR_SPIFFE_NO_SVID')
    expect(connected.getX509Bundle('example.org')).toBeUndefined()
  })

  it('withdraws the identity that it lacks, and keeps the other', async () => {
    const [a, b] = [
      await makeSvid(authority, 'spiffe://example.org/a'),
      await makeSvid(authority, 'spiffe://example.org/b'),
    ]
    const copy = (svid: typeof a): typeof a => ({ ...svid, x509SvidKey: new Uint8Array(svid.x509SvidKey) })
    const control = stream()
    control.send(x509Message({ svids: [copy(a), copy(b)], federatedBundles: {} }))
    const connected = await connect(control)
    expect(connected.current().id.path).toBe('/a')
    control.send(x509Message({ svids: [copy(b)], federatedBundles: {} }))
    await until(() => connected.current().id.path === '/b')
    expect(connected.svids()).toHaveLength(1)
  })

  it.each<
    [
      string,
      (svid: Awaited<ReturnType<typeof makeSvid>>) => Promise<Partial<typeof svid>> | Partial<typeof svid>,
      string,
    ]
  >([
    ['without ID', () => ({ spiffeId: '' }), 'ERR_SPIFFE_RESPONSE'],
    ['without certificates', () => ({ x509Svid: new Uint8Array() }), 'ERR_SPIFFE_RESPONSE'],
    ['without key', () => ({ x509SvidKey: new Uint8Array() }), 'ERR_SPIFFE_RESPONSE'],
    ['without bundle', () => ({ bundle: new Uint8Array() }), 'ERR_SPIFFE_RESPONSE'],
    ['with an ID that is none', () => ({ spiffeId: 'hop1' }), 'ERR_SPIFFE_ID'],
    [
      'with another ID than its certificate',
      () => ({ spiffeId: 'spiffe://example.org/hop2' }),
      'ERR_SPIFFE_RESPONSE',
    ],
    [
      'with certificates that are none',
      () => ({ x509Svid: Uint8Array.of(1, 2, 3) }),
      'ERR_SPIFFE_CERTIFICATE',
    ],
    ['with a key that is none', () => ({ x509SvidKey: Uint8Array.of(1, 2, 3) }), 'ERR_SPIFFE_X509_SVID'],
    [
      'with another’s key',
      async () => ({ x509SvidKey: (await makeSvid(authority)).x509SvidKey }),
      'ERR_SPIFFE_X509_SVID',
    ],
    [
      'that is a CA',
      () => ({ x509Svid: authority.root, spiffeId: 'spiffe://example.org' }),
      'ERR_SPIFFE_X509_SVID',
    ],
  ])('with an SVID %s has none of it, says so, and keeps the others', async (_name, spoil, code) => {
    const control = stream()
    control.send(await good())
    const connected = await connect(control)
    const bad = await makeSvid(authority, 'spiffe://example.org/hop1')
    const other = await makeSvid(authority, 'spiffe://example.org/other')
    control.send(x509Message({ svids: [{ ...bad, ...(await spoil(bad)) }, other], federatedBundles: {} }))
    await until(() => connected.status().updates === 2)
    expect(connected.svids().map(({ id }) => id.path)).toEqual(['/other'])
    expect(connected.status().problems.map((problem) => problem.code)).toEqual([code])
    expect(logger.records.some(({ level, details }) => level === 'error' && details['code'] === code)).toBe(
      true,
    )
  })

  it('with a bundle that cannot be read has none of that domain, and keeps the others', async () => {
    const foreign = await makeAuthority('other.org')
    const control = stream()
    const message = async (broken: Uint8Array): Promise<Uint8Array> =>
      x509Message({
        svids: [await makeSvid(authority)],
        federatedBundles: {
          'spiffe://broken.org': broken,
          'spiffe://other.org': foreign.root,
          'spiffe://bad.org/path': foreign.root,
        },
      })
    control.send(await message(foreign.root))
    const connected = await connect(control)
    expect(connected.trustDomains()).toEqual(['example.org', 'broken.org', 'other.org'])
    control.send(await message(foreign.root.subarray(0, -1)))
    await until(() => connected.status().updates === 2)
    expect(connected.trustDomains()).toEqual(['example.org', 'other.org'])
    expect(connected.status().problems.map(({ code }) => code)).toEqual(
      ['ERR_SPIFFE_BUNDLE', 'ERR_SPIFFE_RESPONSE'].map((code) =>
        code === 'ERR_SPIFFE_BUNDLE' ? expect.stringMatching(/ERR_SPIFFE_(BUNDLE|CERTIFICATE)/) : code,
      ),
    )
  })

  it('does not let a federated bundle stand in for that of one’s own domain', async () => {
    const rogue = await makeAuthority('example.org')
    const control = stream()
    control.send(
      x509Message({
        svids: [await makeSvid(authority)],
        federatedBundles: { 'spiffe://example.org': rogue.root },
      }),
    )
    const connected = await connect(control)
    expect(connected.getX509Bundle('example.org')?.has(rogue.root)).toBe(false)
    expect(connected.getX509Bundle('example.org')?.has(authority.root)).toBe(true)
  })

  it('with two bundles for one domain has neither', async () => {
    const rogue = await makeAuthority('example.org')
    const control = stream()
    const second = { ...(await makeSvid(authority, 'spiffe://example.org/b')), bundle: rogue.root }
    control.send(x509Message({ svids: [await makeSvid(authority), second], federatedBundles: {} }))
    const connected = await connect(control)
    expect(connected.getX509Bundle('example.org')).toBeUndefined()
    expect(connected.status().problems).toHaveLength(1)
  })

  it('with one hint twice has the first of the two', async () => {
    const control = stream()
    const svids = [
      await makeSvid(authority, 'spiffe://example.org/a', { hint: 'x' }),
      await makeSvid(authority, 'spiffe://example.org/b', { hint: 'x' }),
    ]
    control.send(x509Message({ svids, federatedBundles: {} }))
    const connected = await connect(control)
    expect(connected.svids().map(({ id }) => id.path)).toEqual(['/a'])
  })
})

describe('a call that answers once', () => {
  it('ends with its time, with the caller, and with the client', async () => {
    let calls = 0
    await server.start({ fetchJWTSVID: () => void calls++ })
    const client = new WorkloadApiClient({ address: server.address, timeoutMs: 100, logger })
    const request = { audience: 'x' }
    const patient = { timeoutMs: 600_000 }
    await expect(client.fetchJwtSvids(request)).rejects.toMatchObject({ code: 'ERR_SPIFFE_TIMEOUT' })
    const caller = new AbortController()
    const left = client.fetchJwtSvids(request, { ...patient, signal: caller.signal })
    caller.abort()
    await expect(left).rejects.toMatchObject({ code: 'ERR_SPIFFE_ABORTED' })
    await expect(client.fetchJwtSvids(request, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_ABORTED',
    })
    const before = calls
    const underWay = client.fetchJwtSvids(request, patient)
    await until(() => calls > before)
    client.close()
    client.close()
    await expect(underWay).rejects.toMatchObject({ code: 'ERR_SPIFFE_CLOSED' })
    await expect(client.fetchJwtSvids(request)).rejects.toMatchObject({ code: 'ERR_SPIFFE_CLOSED' })
    expect(() => client.watchX509({ onUpdate: () => {}, onError: () => {} })).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_CLOSED' }),
    )
  })

  it.each([{ timeoutMs: 0 }, { timeoutMs: 1.5 }, { maxMessageBytes: -1 }])('refuses %j', (options) => {
    expect(() => new WorkloadApiClient({ address: 'unix:///x', ...options })).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_CONFIG' }),
    )
  })
})

it('overwrites the private keys of a message once they are read', async () => {
  const { readX509State } = await import('../src/workload-api/x509-state.js')
  const svid = await makeSvid(authority)
  const { svids } = readX509State({
    $typeName: 'X509SVIDResponse',
    svids: [svid],
    crl: [],
    federatedBundles: {},
  })
  expect(svids).toHaveLength(1)
  expect(svid.x509SvidKey.every((byte) => byte === 0)).toBe(true)
})
