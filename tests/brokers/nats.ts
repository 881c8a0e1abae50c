import { ask } from './ask.js'
import { type Broker, startBroker, temporaryFolder } from './broker.js'
import { freePort } from './free-port.js'

/** A NATS server with JetStream. `url` is its address, `nats://127.0.0.1:PORT`. */
export async function startNats(): Promise<Broker> {
  const port = await freePort()
  const folder = await temporaryFolder('nats')
  return startBroker({
    port,
    url: `nats://127.0.0.1:${port}`,
    folder,
    programs: [
      { command: 'nats-server', args: ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder] },
    ],
    ready: async () => {
      // `INFO {…}`
      const greeting = await ask(port)
      if (!greeting.toString().startsWith('INFO')) throw new Error(`${port} is no NATS server`)
    },
  })
}
