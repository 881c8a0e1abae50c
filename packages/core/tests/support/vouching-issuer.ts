import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type JWTPayload, SignJWT } from 'jose'
import type { Clock } from '../../src/clock.js'

/** A server of the test: what it answers can be changed while it runs. */
export interface TestServer {
  readonly origin: string
  readonly asked: string[]
  answer: RequestListener
  close(): Promise<void>
}

export async function startServer(answer: RequestListener): Promise<TestServer> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    started.answer(request, response)
  })
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const started: TestServer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answer,
    close: async () => {
      server.closeAllConnections()
      server.close()
      if (server.listening) await once(server, 'close')
    },
  }
  return started
}

export function answering(body: unknown, status = 200): RequestListener {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
}

/** An issuer of workloads' tokens: metadata, keys, and a token with whatever claims. */
export class VouchingIssuer {
  readonly server: TestServer
  readonly #clock: Clock
  #kid = ''
  #privateKey!: KeyObject
  #jwk: object = {}

  static async start(clock: Clock): Promise<VouchingIssuer> {
    const issuer = new VouchingIssuer(await startServer(answering({}, 404)), clock)
    issuer.rotate()
    issuer.server.answer = (request, response) => {
      const metadata = { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }
      const body = request.url === '/keys' ? { keys: [issuer.#jwk] } : metadata
      answering(body)(request, response)
    }
    return issuer
  }

  private constructor(server: TestServer, clock: Clock) {
    this.server = server
    this.#clock = clock
  }

  get url(): string {
    return this.server.origin
  }

  get publicJwk(): object {
    return this.#jwk
  }

  /** Signs with a new key, and publishes that one alone. */
  rotate(): void {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#kid = randomUUID()
    this.#privateKey = privateKey
    this.#jwk = { ...publicKey.export({ format: 'jwk' }), kid: this.#kid, alg: 'ES256', use: 'sig' }
  }

  /** A token of `orders` that holds from now for ten minutes, with changes. A claim that is `undefined` is left out. */
  async token(aud: unknown, changes: Record<string, unknown> = {}): Promise<string> {
    const now = Math.floor(this.#clock.now() / 1000)
    const claims = { iss: this.url, sub: 'orders', aud, iat: now, exp: now + 600, ...changes }
    const payload = JSON.parse(JSON.stringify(claims)) as JWTPayload
    return new SignJWT(payload)
      .setProtectedHeader({ alg: 'ES256', kid: this.#kid, typ: 'JWT' })
      .sign(this.#privateKey)
  }

  close(): Promise<void> {
    return this.server.close()
  }
}
