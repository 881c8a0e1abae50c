import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { PolicyRequest } from '@kest/core'
import { OPAPolicyEngine, policyLibrary } from '@kest/opa'
import { Agent, request as post } from 'undici'
import type { TimeFigure } from '../figure.js'
import { createWorkload } from '../workload.js'

const POLICY = 'kest/minimum_trust'
const UP_MS = 30_000

/** With `opa` on PATH: how much a question costs beside a bare request to the same OPA. For a process of its own. */
export const OPA_FIGURES: readonly TimeFigure[] =
  spawnSync('opa', ['version'], { stdio: 'ignore' }).status === 0 ? [opaLoopback()] : []

function opaLoopback(): TimeFigure {
  return {
    group: 'policy',
    name: 'a decision by OPA over the loopback',
    unit: 'µs',
    floor: 'a bare keep-alive POST to it',
    target: 1.15,
    async prepare() {
      const url = await startOpa()
      const engine = new OPAPolicyEngine({ url })
      const asked = await contextOf()
      const question = { ...asked, policies: [POLICY] }
      const { signal } = new AbortController()
      const body = JSON.stringify({ input: asked.context })
      const headers = { 'content-type': 'application/json' }
      const dispatcher = new Agent()
      return {
        floor: async () => {
          const answer = await post(`${url}/v1/data/${POLICY}`, { method: 'POST', headers, body, dispatcher })
          await answer.body.json()
        },
        subject: () => engine.evaluate(question, { signal }),
      }
    },
  }
}

/** As a real operation asks. */
async function contextOf(): Promise<PolicyRequest> {
  const asked: PolicyRequest[] = []
  const { chain } = createWorkload('Ed25519', { engine: { evaluate: (one) => asked.push(one) > 0 } })
  await chain(3)
  return asked.at(-1) as PolicyRequest
}

/** Ends with this process. */
async function startOpa(): Promise<string> {
  const port = await freePort()
  const policies = fileURLToPath(new URL('./minimum_trust.rego', policyLibrary()))
  const server = ['run', '--server', '--skip-version-check', '--log-level', 'error']
  const opa = spawn('opa', [...server, '--addr', `127.0.0.1:${port}`, policies], { stdio: 'ignore' })
  process.once('exit', () => opa.kill('SIGKILL'))
  opa.unref()
  const url = `http://127.0.0.1:${port}`
  const late = Date.now() + UP_MS
  for (;;) {
    const healthy = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (healthy) return url
    if (Date.now() > late) throw new Error(`OPA is not healthy after ${UP_MS} ms`)
    await delay(50)
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
