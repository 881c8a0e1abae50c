import { once } from 'node:events'
import { connect } from 'node:net'

const ANSWER_MS = 5_000

/**
 * The first bytes that a server sends on a new connection, after it was sent `question`.
 * @throws where there is no answer
 */
export async function ask(port: number, question: Uint8Array = new Uint8Array()): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1')
  const signal = AbortSignal.timeout(ANSWER_MS)
  try {
    await once(socket, 'connect', { signal })
    if (question.length > 0) socket.write(question)
    const [answer] = (await Promise.race([
      once(socket, 'data', { signal }),
      once(socket, 'close', { signal }).then(() => {
        throw new Error(`${port} closed the connection without an answer`)
      }),
    ])) as [Buffer]
    return answer
  } finally {
    socket.destroy()
  }
}
