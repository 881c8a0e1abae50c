import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Ports } from '../src/supervisor/ports.js'
import { Supervisor } from '../src/supervisor/supervisor.js'
import { Watch } from '../src/supervisor/watch.js'
import { isAlive, until } from './support/processes.js'

const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))

let folder: string
let watch: Watch
let supervisor: Supervisor

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kest-supervisor-'))
  mkdirSync(join(folder, 'run'))
  watch = new Watch()
  supervisor = await Supervisor.start(folder, join(folder, 'run'), watch)
})

afterEach(async () => {
  await supervisor.end()
  watch.end()
  await rm(folder, { recursive: true })
})

function node(name: string, ...args: readonly string[]) {
  return supervisor.spawn({ name, command: process.execPath, args })
}

describe('a supervisor', () => {
  it('ends what it started, with what that has started, and removes its folder', async () => {
    const program = supervisor.spawn({
      name: 'parent',
      command: process.execPath,
      args: [fixture('parent.mjs')],
      ipc: true,
    })
    const { child } = await program.message<{ child: number }>()
    await supervisor.end()
    expect(await program.ended).toBe('SIGKILL')
    await until('its child is gone', () => !isAlive(child))
    expect(existsSync(join(folder, 'run'))).toBe(false)
  })

  it('gives up when a program ends early, and says what that said', async () => {
    const program = node('broken', '-e', 'console.error("no port left"); process.exit(3)')
    await program.ended
    await until('it gave up', () => watch.signal.aborted)
    expect(watch.signal.reason.message).toMatch(/^broken ended early \(exit code 3\)\nno port left\n/)
  })

  it('gives up when a program cannot be started', async () => {
    supervisor.spawn({ name: 'absent', command: join(folder, 'absent') })
    await until('it gave up', () => watch.signal.aborted)
    expect(watch.signal.reason.message).toMatch(/^absent ended early \(.*ENOENT/)
  })

  it('lets a program end in good order, and kills one that does not', async () => {
    const polite = node('polite', fixture('polite.mjs'))
    const deaf = node('deaf', fixture('deaf.mjs'))
    await until('both listen', () => [polite, deaf].every(({ name }) => isListening(name)))
    expect(await polite.stop(20_000)).toBe('exit code 0')
    expect(await deaf.stop(50)).toBe('SIGKILL')
    expect(watch.signal.aborted).toBe(false)
  })

  it('leaves nothing behind when it is killed itself', async () => {
    const lab = fork(fixture('lab-that-waits.mjs'), [folder], { execArgv: [] })
    const [{ pids, run }] = (await once(lab, 'message')) as [{ pids: number[]; run: string }]
    expect(pids.filter(isAlive)).toEqual(pids)
    lab.kill('SIGKILL')
    await until('all of it is gone', () => !pids.some(isAlive) && !existsSync(run))
  })
})

describe('ports', () => {
  it('are no other lab’s, until they are given back', async () => {
    const labs = await Promise.all(Array.from({ length: 8 }, () => Ports.reserve(5)))
    const ports = labs.flatMap((lab) => [lab.take(), lab.take(), lab.take()])
    expect(new Set(ports).size).toBe(24)
    for (const lab of labs) await lab[Symbol.asyncDispose]()
  })

  it('are no more than were reserved', async () => {
    await using ports = await Ports.reserve(19)
    for (let i = 0; i < 19; i++) ports.take()
    expect(() => ports.take()).toThrow('more ports')
  })
})

function isListening(name: string): boolean {
  return readFileSync(supervisor.logOf(name), 'utf8').includes('listening')
}
