import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { run } from '../../packages/cli/dist/run.js'
import { Output } from '../../packages/cli/dist/terminal/output.js'
import { StatusLine } from '../../packages/cli/dist/terminal/status-line.js'
import { createDevAuthority, type DevAuthority } from '../../packages/spiffe/dist/dev-authority/index.js'
import { packageManagerEnv } from '../../scripts/workspace.mjs'
import { linkWorkspaceModules } from '../readmes/workspace-modules.js'

const execute = promisify(execFile)

export interface Begun {
  /** What the service answered to a protected request. */
  readonly status: number
  readonly body: unknown
  /** What `kest audit` says of what it recorded, a line of JSON for each trace and the summary. */
  readonly audit: string
}

export interface Begin {
  readonly args: readonly string[]
  readonly authority: DevAuthority
  readonly env?: Readonly<Record<string, string>>
  /** What is run in the folder before the service, such as the test of its policy. */
  readonly before?: readonly (readonly [string, ...string[]])[]
  /** Starts what the service needs beside it. */
  readonly started?: () => Promise<unknown>
}

/** Does what `kest init` says comes next, in an empty folder called `orders`: applies the patch, starts the service, asks it once. */
export async function begin(
  folder: string,
  { args, authority, env = {}, before = [], started }: Begin,
): Promise<Begun> {
  await kest(['init', folder, ...args])
  linkWorkspaceModules(folder)
  await execute('git', ['apply', 'kest.patch'], { cwd: folder })
  for (const [command, ...rest] of before) await execute(command, rest, { cwd: folder, env: cleanEnv() })
  await started?.()
  const received = await receive(join(folder, 'received.jsonl'))
  const service = spawn(process.execPath, ['service.mjs'], {
    cwd: folder,
    env: {
      ...cleanEnv(),
      KEST_CONFIG: 'kest.yaml',
      PORT: '0',
      SPIFFE_ENDPOINT_SOCKET: authority.sockets['orders'],
      OTEL_EXPORTER_OTLP_ENDPOINT: received.url,
      ...env,
    },
  })
  const ended = once(service, 'close')
  try {
    const complaints = text(service.stderr)
    const url = await listening(service.stdout, ended, complaints)
    const response = await fetch(`${url}/orders/1`)
    const body: unknown = await response.json()
    writeFileSync(join(folder, 'trust.json'), JSON.stringify(await trustOf(url, args, authority)))
    service.kill('SIGTERM')
    await ended
    return { status: response.status, body, audit: await auditOf(folder, args) }
  } finally {
    service.kill('SIGKILL')
    await ended
    await received.close()
  }
}

/** Nothing of whoever runs the tests. */
function cleanEnv(): NodeJS.ProcessEnv {
  const others = /^(NODE_OPTIONS|KEST|SPIFFE|OTEL)/
  return Object.fromEntries(Object.entries(packageManagerEnv()).filter(([name]) => !others.test(name)))
}

async function listening(
  stdout: NodeJS.ReadableStream,
  ended: Promise<unknown>,
  complaints: Promise<string>,
): Promise<string> {
  const said = new Promise<string>((resolve) => {
    let printed = ''
    stdout.on('data', (data: Buffer) => {
      printed += data.toString()
      const [, url] = / listens on (\S+)\n/.exec(printed) ?? []
      if (url !== undefined) resolve(url)
    })
  })
  const gone = ended.then(async () => {
    throw new Error(`the service ended: ${await complaints}`)
  })
  gone.catch(() => undefined)
  return await Promise.race([said, gone])
}

/** A Collector as far as a service can see: each message is a line. */
async function receive(file: string): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    appendFileSync(file, `${await text(request)}\n`)
    response.end('{}')
  })
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function trustOf(url: string, args: readonly string[], authority: DevAuthority): Promise<object> {
  if (!args.includes('local')) return { bundles: { [authority.trustDomain.name]: authority.bundle() } }
  const published = (await fetch(`${url}/.well-known/kest/jwks.json`).then((answer) => answer.json())) as {
    keys: object[]
  }
  return { keys: { 'spiffe://example.org/orders': published.keys } }
}

async function auditOf(folder: string, args: readonly string[]): Promise<string> {
  const at = (name: string): string => join(folder, name)
  const spans = at(args.includes('file') ? 'spans' : 'received.jsonl')
  const roots = args.includes('--edge') ? ['--roots', at('kest.yaml')] : []
  return await kest(['audit', spans, '--trust', at('trust.json'), ...roots, '--json'])
}

/** The command, within this process: what it prints. @throws when it fails */
async function kest(args: readonly string[]): Promise<string> {
  const printed = { stdout: '', stderr: '' }
  const into = (name: 'stdout' | 'stderr'): Output => {
    const write = (chunk: unknown, _: string, done: () => void): void => {
      printed[name] += String(chunk)
      done()
    }
    return new Output(new Writable({ write }), { colors: false })
  }
  const io = {
    stdin: Readable.from([]),
    stdout: into('stdout'),
    stderr: into('stderr'),
    status: new StatusLine(null),
  }
  const code = await run(args, io)
  if (code !== 0)
    throw new Error(`kest ${args.join(' ')} ends with ${code}\n${printed.stdout}${printed.stderr}`)
  return printed.stdout
}

/** An authority that has the service as its workload. */
export async function startAuthority(): Promise<{
  readonly authority: DevAuthority
  close(): Promise<void>
}> {
  const sockets = await mkdtemp(join(tmpdir(), 'kest-init-'))
  const authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: { orders: {} },
    socketDirectory: sockets,
  })
  return {
    authority,
    async close() {
      await authority.close()
      await rm(sockets, { recursive: true })
    },
  }
}

/** An empty folder for one test. */
export async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-init-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

/** An empty folder with the name of the service. */
export function ordersIn(folder: string): string {
  const place = join(folder, 'orders')
  mkdirSync(place)
  return place
}
