import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { Ports } from '../../lab/dist/supervisor/ports.js'
import { OPAPolicyEngine } from '../../packages/opa/dist/index.js'
import type { DevAuthority } from '../../packages/spiffe/dist/dev-authority/index.js'
import { begin, ordersIn, startAuthority, temporary } from '../support/begun-service.js'

const UP_MS = 60_000
let authority: DevAuthority
beforeAll(async () => {
  const started = await startAuthority()
  authority = started.authority
  return started.close
})

/** As the compose file starts it, once its policies are there. */
async function startOpa(port: number, policies: string): Promise<ChildProcess> {
  const opa = spawn(
    'opa',
    ['run', '--server', `--addr=127.0.0.1:${port}`, '--skip-version-check', policies],
    {
      stdio: 'ignore',
    },
  )
  onTestFinished(async () => {
    const ended = once(opa, 'exit')
    if (opa.kill('SIGKILL')) await ended
  })
  await using engine = new OPAPolicyEngine({ url: `http://127.0.0.1:${port}` })
  await expect
    .poll(
      () =>
        engine.health().then(
          () => true,
          () => false,
        ),
      { timeout: UP_MS },
    )
    .toBe(true)
  return opa
}

const TEST = ['opa', 'test', 'policies'] as const

it('what `kest init` writes runs with Rego in the process, by Fastify: its policy holds its test, is compiled as printed, and a request leaves a passport', async () => {
  const begun = await begin(ordersIn(await temporary()), {
    args: ['--engine', 'rego', '--exporter', 'file', '--edge', '--observe', '0'],
    authority,
    before: [
      TEST,
      [
        'opa',
        'build',
        '-t',
        'wasm',
        '-e',
        'orders/read',
        '-o',
        'policies/bundle.tar.gz',
        'policies/orders.rego',
      ],
    ],
  })
  expect(begun).toMatchObject({ status: 200, body: { url: '/orders/1' } })
  expect(begun.audit).toContain('"verified":1')
})

it('what `kest init` writes runs with an OPA, by Express: its policy holds its test, and a request leaves a passport', async () => {
  await using ports = await Ports.reserve(1)
  const port = ports.take()
  const place = ordersIn(await temporary())
  const begun = await begin(place, {
    args: ['--framework', 'express', '--engine', 'opa', '--exporter', 'file', '--edge', '--observe', '0'],
    authority,
    env: { OPA_URL: `http://127.0.0.1:${port}` },
    before: [TEST],
    started: () => startOpa(port, join(place, 'policies')),
  })
  expect(begun).toMatchObject({ status: 200, body: { url: '/orders/1' } })
  expect(begun.audit).toContain('"verified":1')
})
