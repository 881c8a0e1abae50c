import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Sends bytes as they are, and reads what comes until the other side closes. */
export async function sendRaw(address: string, text: string): Promise<string> {
  const socket = open(address)
  socket.write(text)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}

/** A request of one's own spelling: every header line as given. */
export function rawRequest(path: string, lines: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...lines, '', ''].join('\r\n')
}

/** A connection of one's own. */
export function open(address: string): Socket {
  const { hostname, port } = new URL(address)
  return connect({ host: hostname, port: Number(port) }).setEncoding('latin1')
}

export async function connected(address: string): Promise<Socket> {
  const socket = open(address)
  await once(socket, 'connect')
  return socket
}

/** Status and JSON body of an answer that was read raw. */
export function parseAnswer(answer: string): { status: number; body: Record<string, unknown> } {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), body: JSON.parse(body) }
}
