import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { ask, codeOf } from '../src/client/requests.js'
import { configurationFile } from '../src/files.js'
import type { Lab } from '../src/lab.js'
import { opaArguments } from '../src/servers/opa.js'
import { Programs } from '../src/supervisor/programs.js'
import { until } from '../src/supervisor/until.js'
import { Watch } from '../src/supervisor/watch.js'
import { copiedPolicies, endAndAudit, PATIENCE_MS, startLab, temporaryFolder } from './support/lab.js'

const CHANGE_MS = 180_000

async function untilAnswered(lab: Lab, status: number): Promise<void> {
  const late = (): string => `it does not answer ${status}`
  await until(
    async () => ((await ask(lab.urls.hop1, 'changing', lab.watch)).status === status ? true : undefined),
    { timeoutMs: CHANGE_MS, late },
    lab.watch,
  )
}

it(
  'F-PE-03 decides by a policy that was changed while everything runs',
  async () => {
    const policies = await copiedPolicies()
    const lab = await startLab({ policies })
    const file = join(policies, 'hop3.rego')
    const before = readFileSync(file, 'utf8')
    await untilAnswered(lab, 200)
    await replace(file, before.replace('input.object.id != "sealed"', 'input.object.id != "changing"'))
    await untilAnswered(lab, 502)
    await replace(file, before)
    await untilAnswered(lab, 200)
  },
  PATIENCE_MS,
)

it(
  'lets nobody replace a policy, or have it explained, by its REST API',
  async () => {
    const { urls } = await startLab()
    const rewrite = await fetch(`${urls.opa}/v1/policies/hop3`, { method: 'PUT', body: 'package hop3' })
    expect(rewrite.status).toBe(401)
    expect((await fetch(`${urls.opa}/v1/policies`)).status).toBe(401)
    const decide = async (what: string): Promise<number> =>
      (await fetch(`${urls.opa}/v1/data/${what}`, { method: 'POST', body: '{"input":{}}' })).status
    expect(await decide('system')).toBe(401)
    expect(await decide('hop1/users_may_start')).toBe(200)
    for (const parameter of ['explain=full', 'instrument', 'metrics', 'provenance', 'pretty', 'other=1'])
      expect(await decide(`hop1/users_may_start?${parameter}`), parameter).toBe(401)
  },
  PATIENCE_MS,
)

it(
  'answers 400 to a request for an item that is none',
  async () => {
    const { urls, watch } = await startLab()
    expect(await ask(urls.hop1, '', watch)).toMatchObject({ status: 400 })
    expect(await ask(urls.hop1, 'order-17', watch)).toMatchObject({ status: 200 })
  },
  PATIENCE_MS,
)

it(
  'NF-SEC-03 refuses everything while OPA is not there, and goes on when it is back',
  async () => {
    const lab = await startLab()
    const { urls, watch, opa } = lab
    expect(await ask(urls.hop1, 'before', watch)).toMatchObject({ status: 200 })
    await opa?.kill()
    const { status, body } = await ask(urls.hop1, 'without', watch)
    expect([status, codeOf(body)]).toEqual([503, 'ERR_KEST_ENGINE'])
    await opa?.start()
    expect(await ask(urls.hop1, 'after', watch)).toMatchObject({ status: 200 })
    const { complete, summary } = await endAndAudit(lab)
    expect(complete).toBe(2)
    expect(summary.verdicts).toMatchObject({ broken: 0, incomplete: 0 })
  },
  PATIENCE_MS,
)

it(
  'asks OPA for its health as compose does',
  async () => {
    const watch = new Watch()
    onTestFinished(() => watch.end())
    const { services } = parse(readFileSync(configurationFile('compose.yaml'), 'utf8'), { merge: true })
    const [, , ...args] = services['hop1-opa'].healthcheck.test as string[]
    const { opa } = new Programs(null).require('opa')
    const socket = join(await temporaryFolder(), 'opa.sock')
    const check = () =>
      promisify(execFile)(
        opa,
        args.map((word) => word.replace('%2Frun%2Fopa%2Fopa.sock', encodeURIComponent(socket))),
      )
    await expect(check()).rejects.toThrow()
    const server = spawn(opa, opaArguments(`unix://${socket}`, configurationFile('opa')), { stdio: 'ignore' })
    onTestFinished(() => void server.kill())
    await until(check, { timeoutMs: CHANGE_MS, late: () => 'it is not well' }, watch)
  },
  PATIENCE_MS,
)

/** At once: OPA must not see half of it. */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}
