import { once } from 'node:events'
import {
  Client,
  credentials,
  Metadata,
  type MetadataValue,
  Server,
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import type { Answer, Received, TestServer } from '../../../../tests/outbound/server.js'
import type { Answered, Client as OutboundClient, Sending } from '../../../../tests/outbound/suite.js'
import { createKestInterceptor, type KestInterceptorOptions } from '../../src/index.js'
import { definition } from './echo.js'
import { bind } from './world.js'

/** What stands for a request of HTTP: its metadata are the headers. */
const send = definition('/kest.test.Outbound/Send')

interface Message {
  readonly method: string
  readonly url: string
  readonly body: string
}

/** A server that remembers what it was sent, as those of HTTP do. */
export async function startGrpcServer(
  answer: Answer = ({ body }, response) => void response.end(body),
): Promise<TestServer> {
  const received: Received[] = []
  const server = new Server()
  server.addService(
    { send },
    {
      send: (call: ServerUnaryCall<Message, unknown>, callback: sendUnaryData<unknown>) => {
        const request: Received = { ...call.request, headers: headersOf(call.metadata) }
        received.push(request)
        let code = 200
        const end = (text = ''): unknown => {
          if (code < 400) return callback(null, { status: code, text })
          const metadata = new Metadata()
          metadata.set('http-status', String(code))
          return callback({
            code: code === 503 ? status.UNAVAILABLE : status.PERMISSION_DENIED,
            details: text,
            metadata,
          })
        }
        const response = {
          end,
          writeHead(given: number) {
            code = given
            return response
          },
        }
        answer(request, response as never)
      },
    },
  )
  const port = await bind(server)
  return {
    origin: `http://127.0.0.1:${port}`,
    received,
    close: async () => server.forceShutdown(),
  }
}

function headersOf(metadata: Metadata): Record<string, string> {
  return Object.fromEntries(
    Object.keys(metadata.getMap()).map((name) => [name, metadata.get(name).join(',')]),
  )
}

/** A client for each origin, as an application has them; all with the same rule. */
export function openGrpcClient(rule: Omit<KestInterceptorOptions, 'target'>): OutboundClient {
  const clients = new Map<string, Client>()
  return {
    send(url, sending = {}) {
      const { origin, host, pathname, search } = new URL(url)
      let client = clients.get(origin)
      if (client === undefined) {
        const kest = createKestInterceptor({ target: origin, ...rule })
        client = new Client(host, credentials.createInsecure(), { interceptors: [kest] })
        clients.set(origin, client)
      }
      return request(client, pathname + search, sending)
    },
    close() {
      for (const client of clients.values()) client.close()
    },
  }
}

function request(
  client: Client,
  url: string,
  { method = 'GET', headers = {}, body = '', signal }: Sending,
): Promise<Answered> {
  const metadata = new Metadata()
  for (const [name, values] of Object.entries(headers))
    for (const value of [values].flat()) metadata.add(name, value as MetadataValue)
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      send.path,
      send.requestSerialize,
      send.responseDeserialize,
      { method, url, body } satisfies Message,
      metadata,
      (error: ServiceError | null, answer?: unknown) => {
        const [code] = error?.metadata.get('http-status') ?? []
        if (code !== undefined) resolve({ status: Number(code), text: error?.details ?? '' })
        else if (error) reject(error)
        else resolve(answer as Answered)
      },
    )
    if (signal) void once(signal, 'abort').then(() => call.cancel())
  })
}
