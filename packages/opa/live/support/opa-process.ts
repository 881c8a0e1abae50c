import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { OPAPolicyEngine } from '@kest/opa'
import { onTestFinished } from 'vitest'

const POLICIES = fileURLToPath(new URL('../../policies', import.meta.url))
const UP_MS = 30_000

export interface OpaSettings {
  readonly addr?: string
  /** Where it serves, so that one that is started again serves there too. Default a free one. */
  readonly port?: number
  readonly args?: readonly string[]
}

/** OPA with the library, and the `data.json` of a folder. Ends with the test, or before. */
export async function startOpaIn(folder: string, { addr, port: wanted, args = [] }: OpaSettings) {
  const port = addr === undefined ? (wanted ?? (await freePort())) : 0
  const url = `http://127.0.0.1:${port}`
  const server = ['run', '--server', '--skip-version-check', '--log-level', 'error']
  const files = ['--ignore', '*_test.rego', '--ignore', '*.wasm', POLICIES, join(folder, 'data.json')]
  const child = spawn('opa', [...server, '--addr', addr ?? `127.0.0.1:${port}`, ...args, ...files], {
    stdio: 'ignore',
  })
  try {
    await once(child, 'spawn')
  } catch (cause) {
    throw new Error('opa is not on PATH: scripts/live-tools.sh installs it', { cause })
  }
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  onTestFinished(kill)
  if (addr === undefined) {
    await using engine = new OPAPolicyEngine({ url, timeoutMs: 60_000 })
    await untilHealthy(engine)
  }
  return { url, port, kill }
}

export async function untilHealthy(engine: OPAPolicyEngine): Promise<void> {
  const late = Date.now() + UP_MS
  for (;;) {
    try {
      await engine.health()
      return
    } catch (cause) {
      if (Date.now() > late) throw new Error(`OPA is not healthy after ${UP_MS} ms`, { cause })
    }
    await delay(50)
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
