import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { RecordingLogger } from '@kest/core/testing'
import { createMtlsConnector, createMtlsServer, oneOf, X509Source } from '@kest/spiffe'
import { createDevAuthority, type DevAuthority } from '@kest/spiffe/dev'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import { OPAPolicyEngine } from '../src/index.js'
import { requestOf } from './support/context.js'
import { json } from './support/scripted-opa.js'

const OPA = 'spiffe://example.org/opa'
const ORDERS = 'spiffe://example.org/orders'

let authority: DevAuthority

beforeEach(async () => {
  authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: { opa: {}, orders: {}, stranger: {} },
    logger: new RecordingLogger(),
  })
  onTestFinished(() => authority.close())
})

it('shows its SVID to an OPA behind mTLS, and asks no other', async () => {
  const url = await serve('opa')
  expect(await ask(url, 'orders')).toBe(true)
  await expect(ask(url, 'stranger')).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
  // Somebody of the same domain, in OPA's place.
  await expect(ask(await serve('stranger'), 'orders')).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
})

async function ask(url: string, workload: string) {
  const connect = createMtlsConnector(await sourceOf(workload), { authorize: oneOf(OPA) })
  const engine = new OPAPolicyEngine({ url, connect, timeoutMs: 60_000 })
  onTestFinished(() => engine.close())
  return await engine.evaluate(requestOf('orders/read'), { signal: new AbortController().signal })
}

/** Lets nobody in but orders. */
async function serve(workload: string): Promise<string> {
  const server = createMtlsServer(await sourceOf(workload), { authorize: oneOf(ORDERS) }, (tls) =>
    createServer(tls, (request, response) => {
      request.resume().on('end', () => json(response, { result: true }))
    }),
  ).listen(0, '127.0.0.1')
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  await once(server, 'listening')
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function sourceOf(workload: string): Promise<X509Source> {
  const address = authority.sockets[workload] as string
  const source = await X509Source.connect({ address, logger: new RecordingLogger() })
  onTestFinished(() => source.close())
  return source
}
