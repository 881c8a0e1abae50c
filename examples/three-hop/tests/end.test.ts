import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CHAIN } from '../src/chain.js'
import { Deployment } from '../src/operator/deployment.js'
import type { HopProgram } from '../src/operator/hop-process.js'
import { localKeys } from '../src/operator/local-keys.js'
import { Watch } from '../src/operator/watch.js'
import { childrenOf, isAlive, until } from './support/processes.js'
import { runMain, runs } from './support/run-main.js'

const HOPS: readonly HopProgram[] = CHAIN.map((name) => ({ name, program: path(`../dist/${name}.js`) }))

const PROGRAMS = ['authority', ...CHAIN] as const
/** The demonstration goes no further than to where all programs run. */
const HELD = { NODE_OPTIONS: `--import=${new URL('./fixtures/no-request.mjs', import.meta.url)}` }

let folder: string
let sockets: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kest-three-hop-'))
  sockets = await mkdtemp(join(tmpdir(), 'kest-three-hop-'))
})

afterEach(async () => {
  for (const run of runs) run.kill('SIGKILL')
  runs.clear()
  for (const made of [folder, sockets]) await rm(made, { recursive: true })
})

describe('a demonstration that goes wrong', () => {
  it.each(['authority', 'hop2'] as const)(
    'exits 1 when %s is killed, says so, and leaves nothing behind',
    async (name) => {
      const run = runMain([folder], { ...HELD, TMPDIR: sockets })
      const started = await until('all programs run', () => programsOf(run.pid))
      process.kill(started[name], 'SIGKILL')
      const { code, stdout, stderr } = await run.ended
      expect(stderr).toContain(`three-hop: ${name} ended early (SIGKILL)`)
      expect(stdout).not.toContain('SUCCESS')
      expect(code).toBe(1)
      expectNothingOf(started)
    },
  )

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('exits by the convention on %s, and leaves nothing behind', async (signal, exitCode) => {
    const run = runMain([folder], { ...HELD, TMPDIR: sockets })
    const started = await until('all programs run', () => programsOf(run.pid))
    process.kill(run.pid, signal)
    const { code, stderr } = await run.ended
    expect(stderr).toContain(`stopped by ${signal}`)
    expect(code).toBe(exitCode)
    expectNothingOf(started)
  })

  it('leaves nothing behind even when the operator is killed', async () => {
    const operator = fork(path('./fixtures/operator-who-waits.mjs'), [folder], {
      env: { ...process.env, TMPDIR: sockets },
      execArgv: [],
    })
    const [hops] = (await once(operator, 'message')) as [number[]]
    const started = programsOf(operator.pid!)!
    expect(Object.values(started)).toEqual(expect.arrayContaining(hops))
    operator.kill('SIGKILL')
    await until('all of it is gone', () => isNothingOf(started))
  })

  it.each(['hop1', 'hop2', 'hop3'])(
    '%s ends when the operator is gone right after it has its place',
    async (name) => {
      const hop = fork(path(`../dist/${name}.js`), ['--local-keys'], { execArgv: [], silent: true })
      await once(hop, 'message')
      hop.send({ keys: {}, next: 'http://127.0.0.1:1', spans: { exporter: 'file', endpoint: folder } })
      hop.disconnect()
      await once(hop, 'exit')
      expect(isAlive(hop.pid!)).toBe(false)
    },
  )

  it('leaves nothing behind when the operator is killed before the services have their places', async () => {
    const run = runMain([folder], { ...HELD, TMPDIR: sockets })
    const started = await until('all programs run', () => programsOf(run.pid))
    process.kill(run.pid, 'SIGKILL')
    await run.ended
    await until('all of it is gone', () => isNothingOf(started))
  })

  it('leaves nothing behind when the operator is killed while the authority begins', async () => {
    const run = runMain([folder], { ...HELD, TMPDIR: sockets })
    const [authority] = await until('it has begun', () => first(childrenOf(run.pid)))
    process.kill(run.pid, 'SIGKILL')
    await run.ended
    await until('all of it is gone', () => isNothingOf({ authority: authority.pid }))
  })
})

describe('a deployment', () => {
  let watch: Watch
  let deployment: Deployment

  beforeEach(() => {
    watch = new Watch(600_000)
    deployment = new Deployment(folder, localKeys, watch)
  })

  afterEach(async () => {
    await deployment.kill()
    watch.end()
    expect(pids().filter(isAlive)).toEqual([])
  })

  it('K-PRINCIPAL lists under each name the key of the process that it started', async () => {
    await deployment.start(HOPS)
    const { keys: listed = {} } = deployment.trust
    expect(Object.keys(listed)).toEqual(CHAIN.map((name) => `spiffe://example.org/${name}`))
    const keys = Object.values(listed).map(([jwk]) => jwk)
    expect(new Set(keys.map((jwk) => jwk?.x)).size).toBe(3)
    for (const jwk of keys) expect(Object.keys(jwk!)).not.toContain('d')
    await deployment.stop()
  })

  it('is told when a service fails at start, and what it said', async () => {
    await expect(deployment.start(withSecond('hop-that-fails.mjs'))).rejects.toThrow(
      /^hop2 ended early \(exit code 3\):\nno port left$/,
    )
  })

  it('is told when there is no such program', async () => {
    await expect(deployment.start(withSecond('no-such-hop.mjs'))).rejects.toThrow(/^hop2 ended early/)
  })

  it('waits for a service that hangs no longer than the deadline', async () => {
    watch.end()
    watch = new Watch(700)
    deployment = new Deployment(folder, localKeys, watch)
    await expect(deployment.start(withSecond('hop-that-hangs.mjs'))).rejects.toThrow('longer than 0.7 s')
  })

  it('is told when a service ends while others wait for it', async () => {
    await deployment.start(HOPS)
    process.kill(pids()[2]!, 'SIGSTOP')
    const answer = fetch(deployment.hops[0]!.origin, { signal: watch.signal })
    answer.catch(() => {})
    process.kill(pids()[1]!, 'SIGKILL')
    await expect(watch.wait(new Promise(() => {}))).rejects.toThrow('hop2 ended early (SIGKILL)')
    await expect(answer).rejects.toThrow()
  })

  it('does not take it for good order when a service ends with an error', async () => {
    await deployment.start([{ name: 'hop1', program: path('./fixtures/hop-that-cannot-write.mjs') }])
    await expect(deployment.stop()).rejects.toThrow('hop1 did not end in good order (exit code 1)')
  })

  function pids(): number[] {
    return deployment.hops.flatMap(({ pid }) => pid ?? [])
  }

  function withSecond(fixture: string): HopProgram[] {
    return HOPS.map((hop) => (hop.name === 'hop2' ? { ...hop, program: path(`./fixtures/${fixture}`) } : hop))
  }
})

type Started = Readonly<Record<(typeof PROGRAMS)[number], number>>

/** The process ids of all programs that the operator starts, once they are all there. */
function programsOf(operator: number): Started | null {
  const started = childrenOf(operator).map(({ pid, command }) => [/(\w+)\.js/.exec(command)?.[1], pid])
  const pids = Object.fromEntries(started) as Started
  return PROGRAMS.every((name) => name in pids) ? pids : null
}

function isNothingOf(started: Partial<Started>): boolean {
  return !Object.values(started).some(isAlive) && readdirSync(sockets).length === 0
}

function expectNothingOf(started: Partial<Started>): void {
  expect(Object.values(started).filter(isAlive)).toEqual([])
  expect(readdirSync(sockets)).toEqual([])
}

function first<T>(list: readonly T[]): [T] | null {
  return list[0] === undefined ? null : [list[0]]
}

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url))
}
