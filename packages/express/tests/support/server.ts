import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { onTestFinished } from 'vitest'

export interface TestServer {
  readonly server: Server
  readonly url: string
  readonly port: number
}

/** A real server on a real port, closed with the test. */
export async function serve(listener: RequestListener): Promise<TestServer> {
  const server = createServer(listener)
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { server, port, url: `http://127.0.0.1:${port}` }
}

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Sends bytes as they are, for what no client would send, and reads until the server closes. */
export async function raw(port: number, lines: readonly string[], body = ''): Promise<RawAnswer> {
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk) => {
      received += chunk
    })
    socket.on('end', () => resolve(received))
    socket.on('error', reject)
    socket.write(
      `${[...lines, 'host: 127.0.0.1', 'connection: close'].join('\r\n')}\r\n\r\n${body}`,
      'latin1',
    )
  })
  const [head = '', ...rest] = text.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), head, body: rest.join('\r\n\r\n') }
}
