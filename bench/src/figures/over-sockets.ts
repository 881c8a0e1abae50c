import type { AddressInfo } from 'node:net'
import {
  Client,
  credentials,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
} from '@grpc/grpc-js'
import kestFastify from '@kest/fastify'
import { kestGrpc } from '@kest/grpc'
import fastify, { type FastifyInstance } from 'fastify'
import { Pool } from 'undici'
import type { TimeFigure, Work } from '../figure.js'
import { createWorkload, headerOf, type Workload } from '../workload.js'

const ENTRIES = 3

/** A call and a request over a connection that is kept open, one after the other, both sides in this process. */
export const grpcCall: TimeFigure = {
  group: 'hop',
  name: 'a protected gRPC call over a socket',
  unit: 'µs',
  floor: 'the bare call; at most 1.25 of what the GET below takes is aimed at',
  prepare: async () => {
    const { receiver, baggage } = await sent()
    const interceptors = [
      kestGrpc({ kest: receiver.kest, methods: { [GET.path]: { policy: 'orders/read' } } }),
    ]
    return {
      floor: await callTo(new Server(), baggage),
      subject: await callTo(new Server({ interceptors }), baggage),
    }
  },
}

export const fastifyGet: TimeFigure = {
  group: 'hop',
  name: 'a protected Fastify GET over a socket',
  unit: 'µs',
  floor: 'the bare GET',
  prepare: async () => {
    const { receiver, baggage } = await sent()
    const app = fastify()
    await app.register(kestFastify, { kest: receiver.kest, policy: 'orders/read' })
    return { floor: await getFrom(fastify(), baggage), subject: await getFrom(app, baggage) }
  },
}

async function sent(): Promise<{ readonly receiver: Workload; readonly baggage: string }> {
  const workload = createWorkload()
  const { state } = await workload.chain(ENTRIES)
  const baggage = await headerOf(state)
  return { receiver: createWorkload('Ed25519', { trust: workload.trust }), baggage }
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const parsed = (bytes: Buffer): unknown => JSON.parse(bytes.toString())

const GET: MethodDefinition<unknown, unknown> = {
  path: '/bench.Orders/Get',
  requestStream: false,
  responseStream: false,
  requestSerialize: json,
  requestDeserialize: parsed,
  responseSerialize: json,
  responseDeserialize: parsed,
}

async function callTo(server: Server, baggage: string): Promise<Work> {
  const get: handleUnaryCall<unknown, unknown> = (_, callback) => callback(null, { ok: true })
  server.addService({ get: GET }, { get })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  const metadata = new Metadata()
  metadata.set('baggage', baggage)
  return () =>
    new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(GET.path, json, parsed, { id: '1' }, metadata, (error) =>
        error ? reject(error) : resolve(),
      )
    })
}

async function getFrom(app: FastifyInstance, baggage: string): Promise<Work> {
  app.get('/orders/:id', async () => ({ ok: true }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 1 })
  return async () => {
    const { statusCode, body } = await pool.request({
      path: '/orders/1',
      method: 'GET',
      headers: { baggage },
    })
    await body.text()
    if (statusCode !== 200) throw new Error(`the benchmark's route answered ${statusCode}`)
  }
}
