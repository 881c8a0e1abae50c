import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { ENTITIES, POLICIES } from '../../tests/support/table.js'

const PROGRAM = 'cedar-agent'
const UP_MS = 60_000

export function hasCedarAgent(): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.some((folder) => {
    try {
      accessSync(join(folder, PROGRAM), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** A real one, with the table's policies and entities. It ends with the test, or before. */
export interface CedarAgent {
  /** Such as `cedar-agent 0.2.0`. */
  readonly version: string
  /** Of its API. */
  readonly url: string
  kill(): Promise<void>
}

/** @param key what it wants to see as `Authorization` */
export async function startCedarAgent(key: string): Promise<CedarAgent> {
  const { stdout } = await promisify(execFile)(PROGRAM, ['--version'])
  const port = await freePort()
  const args = ['--addr', '127.0.0.1', '--port', String(port), '--authentication', key]
  const child = spawn(PROGRAM, [...args, '--log-level', 'error'], { stdio: 'ignore' })
  await once(child, 'spawn')
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  onTestFinished(kill)
  const url = `http://127.0.0.1:${port}/v1`
  await untilUp(url)
  const put = async (what: string, value: unknown): Promise<void> => {
    const headers = { authorization: key, 'content-type': 'application/json' }
    const response = await fetch(`${url}/${what}`, { method: 'PUT', headers, body: JSON.stringify(value) })
    if (!response.ok) throw new Error(`PUT ${what}: ${response.status} ${await response.text()}`)
  }
  await put(
    'policies',
    Object.entries(POLICIES).map(([id, content]) => ({ id, content })),
  )
  await put('data', ENTITIES)
  return { version: stdout.trim(), url, kill }
}

async function untilUp(url: string): Promise<void> {
  const late = Date.now() + UP_MS
  for (;;) {
    const up = await fetch(`${url}/`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (up) return
    if (Date.now() > late) throw new Error(`${PROGRAM} does not serve after ${UP_MS} ms`)
    await sleep(50)
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
