import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { PolicyRequest } from '@kest/core'
import { type Combination, OPAPolicyEngine, policyLibrary, policyPlans } from '@kest/opa'
import { Agent, request as post } from 'undici'
import type { TimeFigure } from '../figure.js'
import { freePort } from '../free-port.js'
import { createWorkload } from '../workload.js'

const POLICY = 'kest/minimum_trust'
const FLOOR = 'a bare keep-alive POST to it, for one policy'
/** Four policies of three tiers, as an operation asks; each takes as long as the one that the floor asks for. */
const TIERS = [[POLICY], [POLICY, POLICY], [POLICY]] as const
const UP_MS = 30_000

/** With `opa` on PATH: how much questions cost beside a bare request to the same OPA. For a process of its own. */
export const OPA_FIGURES: readonly TimeFigure[] =
  spawnSync('opa', ['version'], { stdio: 'ignore' }).status === 0
    ? [
        figure('a decision by OPA over the loopback', [[POLICY]], false, 1.15),
        figure('four policies of three tiers by OPA, at once', TIERS, false),
        figure('four policies of three tiers by OPA, by a plan', TIERS, true),
      ]
    : []

function figure(name: string, tiers: Combination, plans: boolean, target?: number): TimeFigure {
  return {
    group: 'policy',
    name,
    unit: 'µs',
    floor: FLOOR,
    ...(target === undefined ? {} : { target }),
    async prepare() {
      const url = await startOpa()
      const engine = new OPAPolicyEngine({ url, plans })
      const asked = await contextOf()
      const requests = tiers.map((policies) => ({ ...asked, policies }))
      const { signal } = new AbortController()
      const subject = (): Promise<unknown> => Promise.all(engine.evaluateAll(requests, { signal }))
      // What is measured is a plan that is used.
      while (plans && engine.plans()[0]?.state !== 'used') await subject()
      const body = JSON.stringify({ input: asked.context })
      const headers = { 'content-type': 'application/json' }
      const dispatcher = new Agent()
      return {
        floor: async () => {
          const answer = await post(`${url}/v1/data/${POLICY}`, { method: 'POST', headers, body, dispatcher })
          await answer.body.json()
        },
        subject,
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
  const folder = mkdtempSync(join(tmpdir(), 'kest-bench-'))
  const plans = join(folder, 'kest_plans.rego')
  writeFileSync(plans, policyPlans([TIERS]))
  const opa = spawn('opa', [...server, '--addr', `127.0.0.1:${port}`, policies, plans], { stdio: 'ignore' })
  process.once('exit', () => {
    opa.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  })
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
