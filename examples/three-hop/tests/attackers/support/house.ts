import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  createFunctionEngine,
  createKest,
  type Kest,
  KestError,
  type ListenerOptions,
  MemoryCache,
} from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { kestFastify } from '@kest/fastify'
import {
  createMtlsConnector,
  createMtlsServer,
  createX509KeySource,
  memberOf,
  SPIREProvider,
} from '@kest/spiffe'
import { setupTelemetry, type Telemetry } from '@kest/telemetry'
import { createKestFetch } from '@kest/undici'
import Fastify from 'fastify'
import { Agent, fetch } from 'undici'
import { vi } from 'vitest'
import type { Binding, HopAttack } from '../hop/attack.js'
import { DOMAIN, type Service, type World } from './world.js'

export const authorize = memberOf(DOMAIN)

/** What hop3 believes of a lineage that it took. */
export interface Believed {
  readonly trust: number
  readonly taints: readonly string[]
  readonly user: string | null
}

/** What it answers to whom it has let in. */
export interface Served extends Believed {
  readonly trace: string
}

/** What a hop3 has beside the defaults, and whether its deployment has a list of roots. */
export type Receiving = Pick<HopAttack, 'receiver' | 'rootsListed'>

/** A service with Kest, whose records go to files. */
interface Member {
  readonly kest: Kest
  readonly telemetry: Telemetry
}

/**
 * Real servers: hop1, an edge, calls hop2, which is whoever the test says it is; hop3 takes what comes, under a binding.
 * With `mtls` all of them speak TLS, with SVIDs.
 */
export class House {
  readonly binding: Binding
  readonly world: World
  readonly cache = new MemoryCache()
  /** What hop2 was sent last. */
  received = ''
  /** Where hop2 redirects who calls it. */
  redirect: string | null = null
  /** How often hop3's operation ran, and how often hop3 let nobody in. */
  served = 0
  turnedAway = 0
  #hop1!: Member
  #hop3!: Member
  readonly #exported = new Set<string>()
  #unlisted!: Member
  #edge = ''
  #hop2 = ''
  readonly #receivers = new Map<string, Promise<string>>()
  readonly #open: (() => unknown)[] = []

  static async open(world: World, binding: Binding): Promise<House> {
    const house = new House(world, binding)
    house.#hop1 = house.#member('hop1')
    house.#hop3 = house.#member('hop3')
    house.#unlisted = house.#member('hop3', { rootsListed: false })
    house.#hop2 = await house.#listen('hop2', (request, response) => {
      house.received = String(request.headers['baggage'] ?? '')
      if (house.redirect === null) response.end('{}')
      else response.writeHead(307, { location: house.redirect }).end()
    })
    await house.#openEdge()
    return house
  }

  private constructor(world: World, binding: Binding) {
    this.world = world
    this.binding = binding
  }

  /** Where the services write their records. hop2 writes its entries, and nothing around them. */
  get records(): string[] {
    return ['hop1.spans', 'hop2.entries', 'hop3.spans', 'hop3-unlisted.spans'].map((name) =>
      join(this.#folder, name),
    )
  }

  /** A user's request: it goes from hop1 to hop2. */
  async request(
    user: string,
    how: { readonly follow?: boolean } = {},
  ): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${this.#edge}/orders?follow=${how.follow === true}`, { headers: { user } })
    return { status: response.status, body: await response.json() }
  }

  /** The origin of a hop3 of this kind. */
  receiver({ receiver, rootsListed }: Receiving): Promise<string> {
    const key = JSON.stringify([receiver, rootsListed])
    let origin = this.#receivers.get(key)
    if (origin === undefined) {
      origin = this.#openReceiver(rootsListed === false ? this.#unlisted : this.#hop3, receiver)
      this.#receivers.set(key, origin)
    }
    return origin
  }

  /** A client that shows an SVID, where there is TLS. */
  agent(service: Service): Agent {
    const connect = createMtlsConnector(this.world.identities[service].source, { authorize })
    return this.ends(new Agent(this.binding === 'mtls' ? { connect } : {}))
  }

  ends(agent: Agent): Agent {
    this.#open.push(() => agent.destroy())
    return agent
  }

  /** hop2 exports an entry of its own: what is missing would be noticed. */
  exports(jws: string): void {
    this.#exported.add(jws)
  }

  /** When it answers, all records are written. */
  async close(): Promise<void> {
    for (const close of this.#open.splice(0).reverse()) await close()
    await writeFile(join(this.#folder, 'hop2.entries'), [...this.#exported, ''].join('\n'))
  }

  #member(service: 'hop1' | 'hop3', { rootsListed = true } = {}): Member {
    const logger = new RecordingLogger()
    // An instance closes its identity, and these are of all houses.
    const identity = SPIREProvider.of(this.world.identities[service].source)
    const endpoint = join(this.#folder, `${service}${rootsListed ? '' : '-unlisted'}.spans`)
    const telemetry = setupTelemetry({
      serviceName: service,
      exporter: 'file',
      endpoint,
      confirm: true,
      waitTimeoutMs: 60_000,
      logger,
    })
    vi.stubEnv('KEST_CONFIG', rootsListed ? this.world.deployment : '')
    const kest = createKest({
      identity,
      engine: createFunctionEngine({ allow: () => true }),
      trust: createX509KeySource(identity.source),
      cache: this.cache,
      telemetry,
      logger,
    })
    vi.unstubAllEnvs()
    this.#open.push(async () => {
      await kest.close()
      await telemetry.shutdown()
    })
    return { kest, telemetry }
  }

  get #folder(): string {
    return join(this.world.folder, this.binding)
  }

  async #openEdge(): Promise<void> {
    const { kest } = this.#hop1
    const dispatcher = this.agent('hop1')
    const rule = { kest, fetch, propagateTo: () => true, hop: true } as const
    const refusing = createKestFetch(rule)
    const following = createKestFetch({ ...rule, redirects: 'follow' })
    const app = Fastify({ forceCloseConnections: true })
    await app.register(kestFastify, { kest, origin: 'user_input' })
    app.get<{ Querystring: { follow: string } }>(
      '/orders',
      {
        config: {
          kest: { policy: 'allow', addedTaints: ['pii'], user: ({ headers }) => String(headers['user']) },
        },
      },
      async ({ query }, reply) => {
        const send = query.follow === 'true' ? following : refusing
        try {
          return await (await send(`${this.#hop2}/orders`, { dispatcher })).json()
        } catch (error) {
          const { cause } = error as Error
          if (!(cause instanceof KestError)) throw error
          return reply.code(502).send({ code: cause.code })
        }
      },
    )
    this.#open.push(() => app.close())
    this.#edge = await app.listen({ port: 0, host: '127.0.0.1' })
  }

  async #openReceiver({ kest }: Member, options: ListenerOptions = {}): Promise<string> {
    let handle: RequestListener = () => {}
    const origin = await this.#listen('hop3', (request, response) => handle(request, response))
    const app = Fastify({
      serverFactory(handler) {
        handle = handler
        return createHttpServer()
      },
    })
    const bound =
      this.binding === 'hop' ? { binding: this.binding, audiences: [origin] } : { binding: this.binding }
    await app.register(kestFastify, { kest, ...bound, ...options })
    app.get('/orders', { config: { kest: { policy: 'allow' } } }, ({ kest }): Served => {
      this.served++
      const [tip] = kest?.state.frame.lineage.tips ?? []
      if (tip === undefined) throw new Error('an operation without an entry')
      const { trustScore, taints, identity, entry } = tip
      const trace = entry.labels['trace_id'] as string
      return { trust: trustScore, taints, user: identity?.user ?? null, trace }
    })
    await app.ready()
    this.#open.push(() => app.close())
    return origin
  }

  /** A server whose address is known before it is told what to do. */
  async #listen(service: Service, handler: RequestListener): Promise<string> {
    const { source } = this.world.identities[service]
    const overTls = this.binding === 'mtls'
    const server: Server = overTls
      ? createMtlsServer(source, { authorize }, (tls) => createHttpsServer(tls, handler))
      : createHttpServer(handler)
    if (overTls) server.on('tlsClientError', () => this.turnedAway++)
    // Clients close what is idle. Were it the server, it might be while one of them sends.
    server.keepAliveTimeout = 0
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    this.#open.push(() => {
      server.close()
      server.closeAllConnections()
    })
    return `http${overTls ? 's' : ''}://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
}
