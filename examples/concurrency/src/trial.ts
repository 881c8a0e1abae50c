import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createFunctionEngine,
  createKest,
  createKeySource,
  type Kest,
  LocalEd25519Provider,
  type Logger,
} from '@kest/core'
import { kestFastify } from '@kest/fastify'
import { createKestFetch } from '@kest/undici'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { Submit, Task } from './limiters.js'

/** How a handler hands its call to what is shared. */
export type Form = 'plain' | 'kest.bind' | 'request.kest.fetch' | 'request.kest.run'
export const FORMS: readonly Form[] = ['plain', 'kest.bind', 'request.kest.fetch', 'request.kest.run']

/** What became of the calls of a trial. */
export interface Outcome {
  /** Acted as the user of the request that made them. */
  own: number
  /** Acted as the user of another request, and were believed. */
  foreign: number
  /** Were not sent: the request in whose state they ran was over (`ERR_KEST_STATE_ENDED`). */
  ended: number
  /** Left without a passport, and were refused. */
  lost: number
}

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/** Two services: one that is asked by users, and calls the other through what its requests share. */
export class Services {
  readonly #ids = {
    front: new LocalEd25519Provider({ workloadId: 'spiffe://example.org/front', quiet: true }),
    back: new LocalEd25519Provider({ workloadId: 'spiffe://example.org/back', quiet: true }),
  }
  readonly #apps: FastifyInstance[] = []
  #back = ''

  /** Where the other service is: `/whoami` says as whom it is asked. */
  get back(): string {
    return this.#back
  }

  /** An instance of the service in front. */
  front(logger: Logger = SILENT): Kest {
    const engine = createFunctionEngine({ allow: () => true })
    return createKest({ identity: this.#ids.front, engine, logger })
  }

  async start(): Promise<this> {
    const kest = createKest({
      identity: this.#ids.back,
      engine: createFunctionEngine({ allow: () => true }),
      trust: createKeySource({ 'spiffe://example.org/front': [this.#ids.front.getPublicJwk()] }),
      logger: SILENT,
    })
    const back = this.#app()
    await back.register(kestFastify, { kest, policy: 'allow' })
    back.get('/whoami', async (request) => {
      await sleep(2)
      return { user: request.kest?.user }
    })
    this.#back = await listen(back)
    return this
  }

  /** So many requests at once, each of a user of its own, whose handlers call the other service through `submit`. */
  async run(submit: Submit, form: Form, requests = 30): Promise<Outcome> {
    const kest = this.front()
    const fetch = createKestFetch({ kest, propagateTo: [this.#back] })
    const whoami = async (send: typeof fetch): Promise<unknown> => {
      const response = await send(`${this.#back}/whoami`)
      return response.status === 200 ? ((await response.json()) as { user: string }).user : 'lost'
    }
    const taskOf = (request: FastifyRequest): Task => {
      const own = request.kest as NonNullable<typeof request.kest>
      if (form === 'kest.bind') return kest.bind(() => whoami(fetch))
      if (form === 'request.kest.fetch') return () => whoami(own.fetch)
      if (form === 'request.kest.run') return () => own.run(() => whoami(fetch))
      return () => whoami(fetch)
    }

    let arrived = 0
    let open: () => void = () => undefined
    const all = new Promise<void>((resolve) => {
      open = resolve
    })
    const front = this.#app()
    await front.register(kestFastify, { kest, origin: 'user_input', fetch })
    const user = (request: FastifyRequest) => (request.params as { user: string }).user
    front.get('/:user', { config: { kest: { policy: 'allow', user } } }, async (request) => {
      // What is shared is saturated: all ask for it before the first has what it asked for.
      if (++arrived === requests) open()
      await all
      try {
        return { as: await submit(taskOf(request)) }
      } catch (error) {
        const { code } = ((error as Error).cause ?? error) as { readonly code?: unknown }
        if (code !== 'ERR_KEST_STATE_ENDED') throw error
        return { as: 'ended' }
      }
    })
    const address = await listen(front)
    const outcome: Outcome = { own: 0, foreign: 0, ended: 0, lost: 0 }
    await Promise.all(
      Array.from({ length: requests }, async (_, n) => {
        const response = await globalThis.fetch(`${address}/user${n}`)
        const { as } = (await response.json()) as { readonly as: string }
        if (as === `user${n}`) outcome.own++
        else if (as === 'ended' || as === 'lost') outcome[as]++
        else outcome.foreign++
      }),
    )
    return outcome
  }

  async close(): Promise<void> {
    await Promise.all(this.#apps.map((app) => app.close()))
  }

  #app(): FastifyInstance {
    const app = Fastify({ forceCloseConnections: true })
    this.#apps.push(app)
    return app
  }
}

async function listen(app: FastifyInstance): Promise<string> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}
