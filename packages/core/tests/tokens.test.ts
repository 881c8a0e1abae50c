import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { calculateJwkThumbprint, type JWK, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { getCurrentAgent, getCurrentTask, getCurrentUser } from '../src/context/accessors.js'
import type { ListenerOptions } from '../src/ingress/listener-options.js'
import { toProblem } from '../src/ingress/problem.js'
import type { TokenOptions } from '../src/tokens/token-options.js'
import { sends, service, step } from './support/services.js'

const TXN = '97053963-771d-49cc-a4e3-20aad399c312'
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const idp: TokenOptions = { jwks: publicKey, issuer: 'https://idp.test', audience: 'me' }

async function jwt(claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 3600
  return new SignJWT(
    JSON.parse(JSON.stringify({ iss: 'https://idp.test', aud: 'me', sub: 'alice', exp, ...claims })),
  )
    .setProtectedHeader({ alg: 'ES256', ...header })
    .sign(privateKey)
}

describe('Txn-Token', () => {
  const token: TokenOptions = {
    ...idp,
    header: 'Txn-Token',
    claims: {
      agent: 'req_wl',
      task: ({ tctx }) => (tctx as { action: string } | undefined)?.action,
    },
  }
  const listener: ListenerOptions = { origin: 'user_input', token }
  const good = { txn: TXN, req_wl: 'spiffe://kest.test/gateway', tctx: { action: 'BUY' } }

  it('F-IC-05 says who acts as the operator maps it, and its transaction is signed into every entry', async () => {
    const { kest } = service('edge')
    const headers = { 'txn-token': await jwt(good, { typ: 'txntoken+jwt' }) }
    const state = await kest.listener(listener).receive({ headers })
    const first = await kest.begin(step(), { state })
    const inner = first.enter()
    await kest.run(inner, async () => {
      expect([getCurrentUser(), getCurrentAgent(), getCurrentTask()]).toEqual(['alice', good.req_wl, 'BUY'])
      const second = await kest.begin(step())
      for (const { entry } of [first.entry, second.entry]) expect(entry.labels['kest.txn']).toBe(TXN)
    })
  })

  it.each<[string, Record<string, unknown>, string]>([
    ['names no transaction', { txn: undefined }, 'txntoken+jwt'],
    ['names one that is no text', { txn: 7 }, 'txntoken+jwt'],
    ['names one without end', { txn: 'a'.repeat(256) }, 'txntoken+jwt'],
    ['is an access token', {}, 'at+jwt'],
    ['has expired', { exp: 1 }, 'txntoken+jwt'],
  ])('F-IC-05 is refused when it %s', async (_, claims, typ) => {
    const { kest } = service('edge')
    const headers = { 'txn-token': await jwt({ ...good, ...claims }, { typ }) }
    await expect(kest.listener(listener).receive({ headers })).rejects.toMatchObject({
      code: 'ERR_KEST_TOKEN',
    })
  })

  it('F-IC-05 is looked for in its own header, and only there', async () => {
    const { kest } = service('edge')
    const value = await jwt(good, { typ: 'txntoken+jwt' })
    const state = await kest.listener(listener).receive({ headers: { authorization: `Bearer ${value}` } })
    expect(state.identity).toBeNull()
    for (const wrong of [`Bearer ${value}`, `${value}, ${value}`, ''])
      await expect(
        kest.listener(listener).receive({ headers: { 'txn-token': wrong } }),
      ).rejects.toMatchObject({
        code: 'ERR_KEST_TOKEN',
      })
  })
})

describe('K-JWT a token', () => {
  const client = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = client.publicKey.export({ format: 'jwk' }) as JWK

  it('is in no log, span, error, answer or passport, whether it holds or not', async () => {
    const exporter = new InMemorySpanExporter()
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    const edge = service('edge', undefined, { now: () => Date.now() }, { telemetry: { tracerProvider } })
    const dpop = { origins: 'https://me.test', required: false }
    const listener = edge.kest.listener({ origin: 'user_input', token: { ...idp, dpop } as TokenOptions })
    const bound = await jwt({ cnf: { jkt: await calculateJwkThumbprint(jwk) } })
    const proof = await new SignJWT({
      htm: 'GET',
      htu: 'https://me.test/x',
      ath: createHash('sha256').update(bound).digest('base64url'),
      jti: randomUUID(),
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
      .setIssuedAt()
      .sign(client.privateKey)
    const secrets: string[] = [proof]
    const seen: unknown[] = []
    const receive = async (scheme: string, token: string, more: object = {}): Promise<boolean> => {
      secrets.push(token)
      const headers = { authorization: `${scheme} ${token}`, ...more }
      return listener.receive({ headers, method: 'GET', url: '/x' }).then(
        async (state) => {
          seen.push(await sends(edge, {}, state))
          return true
        },
        (error: unknown) => {
          // Told to an operator who prints it, causes and all, and to the client.
          seen.push(inspect(error, { depth: 10 }), toProblem(error))
          return false
        },
      )
    }
    expect(await receive('Bearer', await jwt({}))).toBe(true)
    expect(await receive('DPoP', bound, { dpop: proof })).toBe(true)
    const refusals = [
      receive('DPoP', bound, { dpop: proof }),
      receive('DPoP', bound, { dpop: `${proof}x` }),
      receive('Bearer', bound),
      receive('Bearer', await jwt({ exp: 1 })),
      receive('Bearer', await jwt({ nbf: 9_999_999_999 })),
      receive('Bearer', await jwt({ iss: 'https://evil.test' })),
      receive('Bearer', await jwt({ aud: 'somebody' })),
      receive('Bearer', `${await jwt({})}AAAA`),
      receive('Bearer', (await jwt({})).slice(0, -20)),
      receive('Bearer', 'opaque-secret-0123456789'),
    ]
    expect(await Promise.all(refusals)).toEqual(refusals.map(() => false))

    const spans = exporter
      .getFinishedSpans()
      .map(({ attributes, events, status }) => ({ attributes, events, status }))
    expect(spans.length).toBeGreaterThan(0)
    const all = inspect([seen, edge.logger.records, spans], {
      depth: 20,
      maxStringLength: null,
      maxArrayLength: null,
    })
    for (const secret of secrets)
      for (const part of secret.split('.').filter((text) => text.length >= 20 && !isHeader(text)))
        expect(all).not.toContain(part)
  })
})

/** A token's header says no more than its algorithm. */
function isHeader(part: string): boolean {
  return Buffer.from(part, 'base64url').toString().startsWith('{"alg"')
}
