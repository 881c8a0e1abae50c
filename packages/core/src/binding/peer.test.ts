import { describe, expect, it, vi } from 'vitest'
import { createKest } from '../config/kest.js'
import { createFunctionEngine } from '../policy/function-engine.js'
import { buildPassport } from '../testing/build-passport.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { authorizePeer, type Peer, peerOf } from './peer.js'

const ID = 'spiffe://example.org/gateway'

/** A connection whose certificate has these names, as Node writes them. */
function connection(subjectAltName: string | undefined, authorized = true): object {
  return { authorized, getPeerX509Certificate: () => ({ subjectAltName }) }
}

describe('peerOf', () => {
  it('K-HOP answers the SPIFFE ID of an authorized connection', () => {
    expect(peerOf(connection(`URI:${ID}`))).toEqual({ spiffeId: ID })
    expect(peerOf(connection(`DNS:gateway.test, IP Address:10.0.0.1, URI:${ID}`))).toEqual({ spiffeId: ID })
  })

  it.each<[string, unknown]>([
    ['no connection', undefined],
    ['null', null],
    ['one without TLS', {}],
    ['one that is not authorized', connection(`URI:${ID}`, false)],
    ['one whose authorization is no boolean', { ...connection(`URI:${ID}`), authorized: 'yes' }],
    ['one without a certificate', { authorized: true, getPeerX509Certificate: () => undefined }],
    ['a certificate without names', connection(undefined)],
    ['a certificate without a URI', connection('DNS:gateway.test')],
    ['two URIs', connection(`URI:${ID}, URI:spiffe://example.org/other`)],
    ['the same URI twice', connection(`URI:${ID}, URI:${ID}`)],
    ['a URI of another scheme', connection('URI:https://example.org/gateway')],
    ['a trust domain alone', connection('URI:spiffe://example.org')],
    ['a path that ends in a slash', connection('URI:spiffe://example.org/gateway/')],
    ['a path with dots', connection('URI:spiffe://example.org/a/../gateway')],
    ['a path with escapes', connection('URI:spiffe://example.org/%67ateway')],
    ['a trust domain in upper case', connection('URI:spiffe://Example.org/gateway')],
    ['a query', connection(`URI:${ID}?x`)],
    ['a name that hides a URI in quotes', connection(`DNS:"x, URI:${ID}"`)],
    ['a URI that is quoted', connection(`URI:"${ID}"`)],
    ['names that are not understood', connection(`URI:${ID}, "`)],
    ['an ID that is too long', connection(`URI:${ID}/${'a'.repeat(2048)}`)],
  ])('K-HOP answers nothing for %s', (_, socket) => {
    expect(peerOf(socket)).toBeUndefined()
  })

  it('K-HOP prefers what was stated by who verified the certificates', () => {
    const socket = connection('URI:spiffe://partner.example/api', false)
    authorizePeer(socket, { spiffeId: ID })
    authorizePeer(socket, { spiffeId: ID })
    expect(peerOf(socket)).toEqual({ spiffeId: ID })
    expect(() => authorizePeer(socket, { spiffeId: 'spiffe://example.org/other' })).toThrow(TypeError)
    expect(peerOf(socket)).toEqual({ spiffeId: ID })
  })

  it('reads the certificate of a connection once', () => {
    let reads = 0
    const socket = {
      authorized: true,
      getPeerX509Certificate: () => ({ subjectAltName: `URI:${++reads > 0 ? ID : ''}` }),
    }
    peerOf(socket)
    peerOf(socket)
    expect(reads).toBe(1)
  })
})

describe('binding "mtls"', () => {
  const engine = createFunctionEngine({ allow: () => true })
  const receive = async (peer: Peer | undefined, relays?: readonly string[]) => {
    const { headers, trust } = await buildPassport([{ by: 'spiffe://example.org/first' }, { by: ID }])
    const kest = createKest({ engine, trust, logger: new RecordingLogger() })
    const listener = kest.listener({
      binding: 'mtls',
      trustDomains: { 'example.org': { ceiling: 100 } },
      ...(relays && { relays }),
    })
    return listener.receive({ headers: { ...headers }, peer })
  }
  const refused = expect.objectContaining({ code: 'ERR_KEST_BINDING', statusCode: 403 })

  it('K-HOP takes a passport from the principal of its tip', async () => {
    await expect(receive({ spiffeId: ID })).resolves.toBeDefined()
  })

  it('K-HOP parses no entry of a passport from whom no entry of it is by', async () => {
    const parse = vi.spyOn(JSON, 'parse')
    const parsed = () => parse.mock.calls.filter(([text]) => text.includes('"operation":')).length
    try {
      await receive({ spiffeId: ID })
      expect(parsed()).toBe(2)
      parse.mockClear()
      await expect(receive({ spiffeId: 'spiffe://example.org/other' })).rejects.toEqual(refused)
      expect(parsed()).toBe(0)
    } finally {
      parse.mockRestore()
    }
  })

  it('K-HOP takes a passport from a relay', async () => {
    const spiffeId = 'spiffe://example.org/proxy'
    await expect(receive({ spiffeId }, [spiffeId])).resolves.toBeDefined()
    await expect(receive({ spiffeId }, ['spiffe://example.org/other'])).rejects.toEqual(refused)
  })

  it.each<[string, Peer | undefined]>([
    ['nobody', undefined],
    ['another workload', { spiffeId: 'spiffe://example.org/other' }],
    ['an earlier hop, whose entry is no tip', { spiffeId: 'spiffe://example.org/first' }],
  ])('K-HOP refuses a passport from %s', async (_, peer) => {
    await expect(receive(peer)).rejects.toEqual(refused)
  })
})
