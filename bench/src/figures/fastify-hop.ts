import kestFastify from '@kest/fastify'
import fastify, { type FastifyInstance } from 'fastify'
import type { TimeFigure } from '../figure.js'
import { createWorkload, headerOf, rawSign, rawVerify } from '../workload.js'

const ENTRIES = 3

/** A request through Fastify itself, without a socket: lineage judged, operation decided and signed, answered. */
export const fastifyHop: TimeFigure = {
  group: 'hop',
  name: 'a protected Fastify route, signatures remembered',
  unit: 'µs',
  floor: 'the bare route, and one Ed25519 signature',
  prepare: () => hop(true),
}

export const fastifyHopCold: TimeFigure = {
  group: 'hop',
  name: 'a protected Fastify route, none seen before',
  unit: 'µs',
  floor: `the bare route, ${ENTRIES} Ed25519 verifications and one signature`,
  prepare: () => hop(false),
}

async function hop(remembered: boolean): ReturnType<TimeFigure['prepare']> {
  let generation = 0
  const workload = createWorkload()
  const { trust } = workload
  const receiver = createWorkload('Ed25519', {
    trust: {
      name: 'changing',
      kind: 'keys',
      find: (query) => trust.find(query),
      get generation() {
        return generation
      },
    },
  })
  const { passport, entry, state } = await workload.chain(ENTRIES)
  const baggage = await headerOf(state)

  const bare = fastify()
  route(bare)
  const app = fastify()
  await app.register(kestFastify, { kest: receiver.kest, policy: 'orders/read' })
  route(app)
  await Promise.all([bare.ready(), app.ready()])

  const request = { url: '/orders/1', headers: { baggage } }
  const sign = rawSign(workload, entry.jws)
  const verify = rawVerify(workload, passport.entries)
  return {
    floor: async () => {
      if (!remembered) verify()
      sign()
      assertAnswered(await bare.inject(request))
    },
    subject: async () => {
      if (!remembered) generation++
      assertAnswered(await app.inject(request))
    },
  }
}

function route(app: FastifyInstance): void {
  app.get('/orders/:id', async () => ({ ok: true }))
}

function assertAnswered({ statusCode }: { readonly statusCode: number }): void {
  if (statusCode !== 200) throw new Error(`the benchmark's route answered ${statusCode}`)
}
