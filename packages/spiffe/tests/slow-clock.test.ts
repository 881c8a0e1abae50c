import { X509Certificate } from 'node:crypto'
import { FakeClock, RecordingLogger } from '@kest/core/testing'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Authority } from '../src/dev-authority/authority.js'
import { SPIREProvider, X509Source } from '../src/index.js'
import type { X509SVID } from '../src/workload-api/workload_pb.js'
import { makeAuthority, makeSvid, until } from './support/material.js'
import { ScriptedServer, x509Message } from './support/scripted-server.js'

const MINUTE = 60_000

let server: ScriptedServer
let authority: Authority
let say: (svid: X509SVID) => void

beforeEach(async () => {
  authority = await makeAuthority()
  const first = await makeSvid(authority)
  server = await new ScriptedServer().start({
    fetchX509SVID: (call) => {
      say = (svid) => call.write(x509Message({ svids: [svid], federatedBundles: {} }))
      say(first)
    },
  })
})

afterEach(() => server.close())

async function connect() {
  const logger = new RecordingLogger()
  const clock = new FakeClock()
  const source = await X509Source.connect({ address: server.address, clock, logger })
  onTestFinished(() => source.close())
  return { source, clock, logger }
}

/** Of an authority whose clock is a minute ahead of ours. */
async function freshSvid(by: Authority = authority, id?: string): Promise<X509SVID> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + MINUTE })
  try {
    return await makeSvid(by, id)
  } finally {
    vi.useRealTimers()
  }
}

describe('where the clock is slow, a fresh SVID that is not valid yet', () => {
  it('displaces no valid predecessor, and takes its place when it is valid', async () => {
    const { source, clock, logger } = await connect()
    const identity = SPIREProvider.of(source)
    const [old, signer] = [source.current(), identity.current()]
    say(await freshSvid())
    await until(() => source.status().updates === 2)
    expect(source.current()).toBe(old)
    expect(identity.current()).toBe(signer)
    expect(source.svids()[0]).not.toBe(old)
    expect(logger.records.map(({ message }) => message)).toEqual([
      'an X.509-SVID is not valid yet: is the clock here slow?',
    ])
    clock.advance(MINUTE)
    expect(source.current()).toBe(source.svids()[0])
    expect(identity.current()).not.toBe(signer)
  })

  it('keeps its predecessor also when it comes again', async () => {
    const { source } = await connect()
    const old = source.current()
    const fresh = await freshSvid()
    say({ ...fresh, x509SvidKey: Uint8Array.from(fresh.x509SvidKey) })
    say(fresh)
    await until(() => source.status().updates === 3)
    expect(source.current()).toBe(old)
  })

  it('has no predecessor that is not valid itself', async () => {
    const { source, clock } = await connect()
    say(await freshSvid())
    await until(() => source.status().updates === 2)
    clock.advance(-2 * MINUTE)
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_EXPIRED' }))
  })

  it('has no predecessor whose authority was withdrawn', async () => {
    const { source } = await connect()
    say(await freshSvid(await makeAuthority()))
    await until(() => source.status().updates === 2)
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_EXPIRED' }))
  })

  it('has no predecessor of another identity', async () => {
    const { source } = await connect()
    say(await freshSvid(authority, 'spiffe://example.org/other'))
    await until(() => source.status().updates === 2)
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_EXPIRED' }))
  })

  it('is told to subscribers when it is valid', async () => {
    const { source, clock } = await connect()
    const old = source.current()
    const fresh = await freshSvid()
    const validFrom = Date.parse(new X509Certificate(fresh.x509Svid).validFrom)
    clock.advance(validFrom - 200 - clock.now())
    const seen: unknown[] = []
    source.subscribe(() => {
      seen.push(source.current())
      clock.advance(200)
    })
    say(fresh)
    await until(() => seen.length === 2)
    expect(seen).toEqual([old, source.svids()[0]])
  })
})
