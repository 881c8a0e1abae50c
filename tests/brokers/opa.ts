import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Broker, startBroker, temporaryFolder } from './broker.js'
import { freePort } from './free-port.js'

const ANSWER_MS = 5_000

/**
 * OPA with policies of one's own, which like a broker can be killed, paused and started again at the same place. `url` is where it is
 * asked.
 * @param policies Rego, by name of file
 */
export async function startOpa(policies: Readonly<Record<string, string>>): Promise<Broker> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const folder = await temporaryFolder('opa')
  const files = await Promise.all(
    Object.entries(policies).map(async ([name, text]) => {
      const file = join(folder, name)
      await writeFile(file, text)
      return file
    }),
  )
  const server = [
    'run',
    '--server',
    '--skip-version-check',
    '--log-level',
    'error',
    '--addr',
    `127.0.0.1:${port}`,
  ]
  return startBroker({
    port,
    url,
    folder,
    programs: [{ command: 'opa', args: [...server, ...files] }],
    ready: async () => {
      const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(ANSWER_MS) })
      await response.arrayBuffer()
      if (!response.ok) throw new Error(`${url} answered ${response.status}`)
    },
  })
}
