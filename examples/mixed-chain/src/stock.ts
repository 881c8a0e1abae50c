// gRPC, and fetch.
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js'
import { kestGrpc } from '@kest/grpc'
import { createKestFetch } from '@kest/undici'
import type { Answer } from './answer.js'
import { StockService } from './stock-service.js'
import type { Workload } from './workload.js'

export async function startStock({ kest }: Workload, prices: string) {
  const fetch = createKestFetch({ kest, propagateTo: [prices] })

  async function get({ request }: ServerUnaryCall<{ readonly id: string }, Answer>): Promise<Answer> {
    const response = await fetch(`${prices}/prices/${request.id}`)
    if (!response.ok) throw new Error(`prices answered ${response.status}`)
    const answer = (await response.json()) as Answer
    return { ...answer, hops: ['stock', ...answer.hops] }
  }

  const inbound = kestGrpc({
    kest,
    methods: { '/shop.Stock/*': { policy: 'shop/read' } },
    services: [StockService],
  })
  const server = new Server({ interceptors: [inbound] })
  server.addService(StockService, {
    get: (call: ServerUnaryCall<{ readonly id: string }, Answer>, callback: sendUnaryData<Answer>) =>
      void get(call).then((answer) => callback(null, answer), callback),
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  return { address: `127.0.0.1:${port}`, close: async () => server.forceShutdown() }
}
