import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

const UP_MS = 60_000

export function hasRedis(): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A real one, with a folder of its own. It ends with the test, or before. */
export interface RedisServer {
  readonly port: number
  readonly url: string
  readonly folder: string
  /** Neither answers nor refuses from then on. */
  pause(): void
  resume(): void
  /** What it held is lost. */
  kill(): Promise<void>
}

/**
 * @param options.port default: a free one
 * @param options.folder default: a new one, removed afterwards
 * @param args further settings
 */
export async function startRedis(
  options: { readonly port?: number; readonly folder?: string } = {},
  ...args: readonly string[]
): Promise<RedisServer> {
  const port = options.port ?? (await freePort())
  const folder = options.folder ?? temporaryFolder()
  const basic = [
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--save',
    '',
    '--appendonly',
    'no',
    '--loglevel',
    'warning',
  ]
  const listening = args.includes('--tls-port') || args.includes('--sentinel') ? [] : ['--port', String(port)]
  const given = args.includes('--sentinel') ? args : [...basic, ...listening, ...args]
  const child = spawn('redis-server', given, { stdio: 'ignore', cwd: folder })
  await once(child, 'spawn')
  const kill = (): Promise<void> => ended(child)
  onTestFinished(kill)
  await untilUp(port, child)
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    kill,
  }
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kest-redis-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

async function untilUp(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + UP_MS
  while (child.exitCode === null && Date.now() < deadline) {
    const socket = connect(port, '127.0.0.1')
    const up = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (up) return
    await sleep(20)
  }
  throw new Error(`redis-server on ${port} is not up (exit ${child.exitCode})`)
}
