import { type Broker, startBroker, temporaryFolder } from './broker.js'
import { freePort } from './free-port.js'

const ANSWER_MS = 5_000

/**
 * SQS as moto has it, in memory: what was in its queues is lost with {@link Broker.kill}. `url` is the endpoint; any region and
 * any credentials do.
 */
export async function startSqs(): Promise<Broker> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  return startBroker({
    port,
    url,
    folder: await temporaryFolder('sqs'),
    programs: [{ command: 'moto_server', args: ['-H', '127.0.0.1', '-p', String(port)] }],
    ready: async () => {
      const response = await fetch(`${url}/moto-api/data.json`, { signal: AbortSignal.timeout(ANSWER_MS) })
      await response.arrayBuffer()
      if (!response.ok) throw new Error(`${url} answered ${response.status}`)
    },
  })
}
