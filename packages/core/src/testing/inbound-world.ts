import { once } from 'node:events'
import type { Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { AdapterOptions } from '../adapter/ingress.js'
import type { BoundPart } from '../binding/bound-request.js'
import { createKest, type Kest } from '../config/kest.js'
import type { KestOptions } from '../config/options.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { IdentityProvider } from '../identity/provider.js'
import { BaggageManager } from '../propagation/baggage-manager.js'
import type { InboundAdapter, SuiteRoute } from './inbound-adapter.js'
import { type MockDecisions, MockPolicyEngine } from './mock-engine.js'
import { RecordingLogger } from './recording-logger.js'

/** What a client got. */
export interface Answer {
  readonly status: number
  /** Status line and header fields. */
  readonly head: string
  readonly body: string
}

/** A service whose adapter is under test, and what became of the requests to it. */
export class InboundWorld {
  readonly engine: MockPolicyEngine
  readonly logger = new RecordingLogger()
  readonly kest: Kest
  /** How many entries were signed. */
  signed = 0
  /** How many handlers ran. */
  ran = 0
  readonly #servers: Server[] = []
  readonly #sockets: Socket[] = []

  constructor(decisions: MockDecisions = true, options: Partial<KestOptions> = {}) {
    this.engine = new MockPolicyEngine(decisions)
    const gateway = new MockIdentityProvider('gateway')
    this.kest = createKest({
      identity: this.#counting(new MockIdentityProvider('orders')),
      engine: this.engine,
      trust: createKeySource({ [gateway.getWorkloadId()]: [gateway.getPublicJwk()] }),
      logger: this.logger,
      // Machines are busy: who does not answer in time is told by a test.
      policyTimeoutMs: 300_000,
      ...options,
    })
  }

  /** Serves the routes; answers with the port. */
  async serve(
    adapter: InboundAdapter,
    options: AdapterOptions,
    routes: readonly SuiteRoute[],
  ): Promise<number> {
    const counted = routes.map((route) => ({
      ...route,
      handle: (request: Parameters<SuiteRoute['handle']>[0]) => {
        this.ran++
        return route.handle(request)
      },
    }))
    const server = await adapter.serve({ kest: this.kest, ...options }, counted)
    this.#servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  /** A connection of one's own, closed with the world. */
  async connect(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1').setEncoding('latin1')
    this.#sockets.push(socket)
    // A client that leaves is what is tested.
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    return socket
  }

  /** Sends one request as it is spelled, and reads until the other side closes. */
  async send(port: number, line: string, headers: readonly string[] = [], body = ''): Promise<Answer> {
    const socket = await this.connect(port)
    socket.write(rawRequest(line, [...headers, 'connection: close'], body))
    return toAnswer(await readAll(socket))
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    for (const server of this.#servers) {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
    await this.kest.close()
  }

  #counting(identity: IdentityProvider): IdentityProvider {
    const signer = identity.current() as Exclude<
      ReturnType<IdentityProvider['current']>,
      PromiseLike<unknown>
    >
    const counting = {
      ...signer,
      sign: (input: Buffer) => {
        this.signed++
        return signer.sign(input)
      },
    }
    return { getWorkloadId: () => identity.getWorkloadId(), current: () => counting }
  }
}

/** A request as it is spelled, with a length where it has a body. */
export function rawRequest(line: string, headers: readonly string[] = [], body = ''): string {
  const length = body === '' ? [] : [`content-length: ${Buffer.byteLength(body)}`]
  return `${[`${line} HTTP/1.1`, 'host: 127.0.0.1', ...headers, ...length].join('\r\n')}\r\n\r\n${body}`
}

export async function readAll(socket: Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

export function toAnswer(text: string): Answer {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  return {
    status: Number(head.split(' ')[1]),
    head: head.toLowerCase(),
    body: bodyOf(head, rest.join('\r\n\r\n')),
  }
}

function bodyOf(head: string, body: string): string {
  if (!/^transfer-encoding: *chunked/im.test(head)) return body
  let rest = body
  let text = ''
  for (;;) {
    const end = rest.indexOf('\r\n')
    const length = Number.parseInt(rest.slice(0, end), 16)
    if (!(length > 0)) return text
    text += rest.slice(end + 2, end + 2 + length)
    rest = rest.slice(end + 4 + length)
  }
}

let gateway: Kest | undefined

/** One for all tests of a process: there are hundreds of requests to make. */
function gatewayKest(): Kest {
  gateway ??= createKest({
    identity: new MockIdentityProvider('gateway'),
    engine: new MockPolicyEngine(),
    logger: new RecordingLogger(),
  })
  return gateway
}

/** The header that carries the lineage of a gateway that acts for somebody. */
export async function lineage({
  user = 'alice',
  addedTaints = [] as readonly string[],
} = {}): Promise<string> {
  const { state } = await gatewayKest().begin({
    operation: 'gateway',
    policy: 'test',
    origin: 'user_input',
    user,
    addedTaints,
  })
  return (await writer.write(state.frame.lineage)) ?? ''
}

/** What the services of the suite are called by. */
export const AUDIENCE = 'http://orders.test'

/** The header of a gateway whose token is bound to a request. */
export async function boundLineage(
  {
    method,
    path,
    body,
  }: { readonly method: string; readonly path: string; readonly body: string | Uint8Array | null },
  bind: readonly BoundPart[] = ['method', 'path', 'body'],
): Promise<string> {
  const sender = gatewayKest()
  const { state } = await sender.begin({
    operation: 'gateway',
    policy: 'test',
    origin: 'user_input',
    user: 'alice',
  })
  const headers: { baggage?: string } = {}
  await sender.inject(headers, AUDIENCE + path, { state, method, body, hop: { bind } })
  return headers.baggage ?? ''
}

const writer = new BaggageManager()

/** Waits for a condition, however busy the machine is. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 120_000) throw new Error(`waited in vain: ${what}`)
    await wait(5)
  }
}

/** A promise and the function that fulfils it. (`Promise.withResolvers` is not in Node 20.) */
export function deferred<T = void>(): { readonly promise: Promise<T>; resolve(value: T): void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((fulfil) => {
    resolve = fulfil
  })
  return { promise, resolve: (value) => resolve(value) }
}
