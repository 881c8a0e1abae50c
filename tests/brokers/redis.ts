import { ask } from './ask.js'
import { type Broker, startBroker, temporaryFolder } from './broker.js'
import { freePort } from './free-port.js'

/** Redis that writes down each command before it answers: what it took is there after {@link Broker.kill}. */
export async function startRedis(): Promise<Broker> {
  const port = await freePort()
  const folder = await temporaryFolder('redis')
  const durable = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always']
  return startBroker({
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    programs: [
      {
        command: 'redis-server',
        args: ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, ...durable],
      },
    ],
    ready: async () => {
      const answer = await ask(port, Buffer.from('PING\r\n'))
      // While it still loads what it wrote down, it says so.
      if (!answer.toString().startsWith('+PONG')) throw new Error(`${port} answers ${answer}`)
    },
  })
}
