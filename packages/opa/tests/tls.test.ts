import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createKest } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { expect, it, onTestFinished, vi } from 'vitest'
import { type OPAOptions, OPAPolicyEngine } from '../src/index.js'
import { createCertificateAuthority } from './support/certificates.js'
import { requestOf } from './support/context.js'
import { json } from './support/scripted-opa.js'

const ours = await createCertificateAuthority('ours')
const theirs = await createCertificateAuthority('theirs')
const client = await ours.client('orders')

it('shows a client certificate to an OPA of a private authority, which is asked and believed', async () => {
  const opa = await serve()
  const { cert: ca } = ours
  expect(await ask(opa.url, { ca, ...client })).toBe(true)
  expect(opa.askedBy).toEqual(['orders'])
})

it.each<[string, OPAOptions['tls'], RegExp, host?: string]>([
  ['trusts another authority', { ca: theirs.cert, ...client }, /unable to verify|self-signed/],
  ['trusts those of Node alone', { ...client }, /unable to verify|self-signed/],
  ['calls it by another name', { ca: ours.cert, ...client }, /altnames/, 'localhost'],
  ['shows no certificate', { ca: ours.cert }, /./],
  ['shows a certificate of another authority', { ca: ours.cert, ...(await theirs.client('orders')) }, /./],
])('NF-SEC-03 TC-09 denies, and asks nothing, when it %s', async (_, tls, why, host = '127.0.0.1') => {
  const opa = await serve()
  const url = opa.url.replace('127.0.0.1', host)
  await expect(ask(url, tls)).rejects.toMatchObject({
    name: 'PolicyDeniedError',
    code: 'ERR_KEST_ENGINE',
    statusCode: 503,
    cause: { message: expect.stringMatching(why) },
  })
  const run = vi.fn()
  const kest = createKest({
    identity: new MockIdentityProvider('spiffe://example.org/orders'),
    engine: engineAt(url, tls),
    policyTimeoutMs: 60_000,
    logger: new RecordingLogger(),
  })
  const operation = kest.verified({ operation: 'read', policy: 'orders/read', origin: 'system' }, run)
  await expect(operation()).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
  expect(run).not.toHaveBeenCalled()
  expect(opa.askedBy).toEqual([])
})

it.each<[string, (socket: TLSSocket) => void]>([
  ['ended', (socket) => socket.end()],
  ['destroyed', (socket) => socket.destroy()],
])(
  'K-ASK over TLS, too, asks once more where an idle connection is %s before an answer',
  async (_, close) => {
    const served = new WeakMap<TLSSocket, number>()
    let closed = 0
    const opa = await serve((socket) => {
      const before = served.get(socket) ?? 0
      served.set(socket, before + 1)
      if (before === 0) return true
      closed++
      close(socket)
      return false
    })
    const engine = engineAt(opa.url, { ca: ours.cert, ...client }, 1)
    for (let i = 0; i < 3; i++) {
      expect(await engine.evaluate(requestOf('orders/read'), new AbortController())).toBe(true)
    }
    expect(closed).toBeGreaterThan(0)
  },
)

function engineAt(url: string, tls: OPAOptions['tls'], connections = 128): OPAPolicyEngine {
  const engine = new OPAPolicyEngine({
    url,
    timeoutMs: 60_000,
    connections,
    ...(tls === undefined ? {} : { tls }),
  })
  onTestFinished(() => engine.close())
  return engine
}

async function ask(url: string, tls: OPAOptions['tls']): Promise<unknown> {
  return await engineAt(url, tls).evaluate(requestOf('orders/read'), new AbortController())
}

/** Allows everything, to those who have a certificate of ours; `answers` may do otherwise. */
async function serve(
  answers: (socket: TLSSocket) => boolean = () => true,
): Promise<{ readonly url: string; readonly askedBy: readonly string[] }> {
  const askedBy: string[] = []
  const { cert: ca } = ours
  const own = await ours.server('127.0.0.1')
  const server = createServer(
    { ...own, ca, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const socket = request.socket as TLSSocket
      askedBy.push(String(socket.getPeerCertificate().subject.CN))
      request.resume().on('end', () => {
        if (answers(socket)) json(response, { result: true })
      })
    },
  ).listen(0, '127.0.0.1')
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  await once(server, 'listening')
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, askedBy }
}
