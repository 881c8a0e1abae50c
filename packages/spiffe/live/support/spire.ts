import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Program, start } from './program.js'
import { use } from './resources.js'

const UP_MS = 60_000
const COMMAND_MS = 20_000
const TRUST_DOMAIN = 'example.org'

/** Which of SPIRE's programs are not on `PATH`. */
export function missingSpirePrograms(): string[] {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return ['spire-server', 'spire-agent'].filter(
    (name) => !folders.some((folder) => isExecutable(join(folder, name))),
  )
}

/** Who a process is, by the user that it runs as. */
export interface Registration {
  readonly id: string
  readonly uid: number
  /** Seconds. */
  readonly ttl: number
}

/** A server and an agent that attested itself to it, with registrations. They end with the test. */
export interface Spire {
  /** Of the agent's Workload API. */
  readonly address: string
  /** The bundle now, a SPIFFE bundle document. */
  bundle(): Promise<string>
}

/**
 * @param folder a new one
 * @param keep takes what is to be ended when it is done with; default: with the test
 */
export async function startSpire(
  folder: string,
  registrations: readonly Registration[],
  keep: (program: Program) => unknown = use,
): Promise<Spire> {
  // Other users go through here to the socket of the agent, and nowhere else.
  await chmod(folder, 0o711)
  const [serverFolder, agentFolder, socketFolder] = ['server', 'agent', 'public'].map((name) =>
    join(folder, name),
  ) as [string, string, string]
  for (const [path, mode] of [
    [serverFolder, 0o700],
    [agentFolder, 0o700],
    [socketFolder, 0o755],
  ] as const) {
    await mkdir(path)
    await chmod(path, mode)
  }
  const serverSocket = join(serverFolder, 'api.sock')
  const agentSocket = join(socketFolder, 'api.sock')
  const port = await freePort()
  const server = (...args: string[]): Promise<string> =>
    command('spire-server', [...args, '-socketPath', serverSocket])

  keep(await run('spire-server', serverFolder, serverConfiguration(serverFolder, serverSocket, port)))
  await untilUp(serverFolder, () => server('healthcheck'))

  const bootstrap = join(agentFolder, 'bootstrap.pem')
  await writeFile(bootstrap, await server('bundle', 'show'))
  const token = /^Token: (\S+)/m.exec(await server('token', 'generate'))?.[1]
  if (token === undefined) throw new Error('spire-server token generate: there is no token in what it says')
  const parent = `spiffe://${TRUST_DOMAIN}/spire/agent/join_token/${token}`
  for (const { id, uid, ttl } of registrations) {
    const what = ['-parentID', parent, '-spiffeID', id, '-selector', `unix:uid:${uid}`]
    await server('entry', 'create', ...what, '-x509SVIDTTL', String(ttl))
  }

  const configuration = agentConfiguration({ agentFolder, agentSocket, port, bootstrap, token })
  keep(await run('spire-agent', agentFolder, configuration))
  await untilUp(agentFolder, () => command('spire-agent', ['healthcheck', '-socketPath', agentSocket]))

  return { address: `unix://${agentSocket}`, bundle: () => server('bundle', 'show', '-format', 'spiffe') }
}

/** Keys in memory only, SQLite in the folder, join tokens, 127.0.0.1. */
function serverConfiguration(folder: string, socket: string, port: number): string {
  return `
server {
    bind_address = "127.0.0.1"
    bind_port = "${port}"
    socket_path = "${socket}"
    trust_domain = "${TRUST_DOMAIN}"
    data_dir = "${folder}"
    log_file = "${logOf(folder)}"
    log_level = "INFO"
}

plugins {
    DataStore "sql" {
        plugin_data {
            database_type = "sqlite3"
            connection_string = "${join(folder, 'datastore.sqlite3')}"
        }
    }
    NodeAttestor "join_token" {
        plugin_data {}
    }
    KeyManager "memory" {
        plugin_data {}
    }
}
`
}

function agentConfiguration(options: {
  readonly agentFolder: string
  readonly agentSocket: string
  readonly port: number
  readonly bootstrap: string
  readonly token: string
}): string {
  return `
agent {
    data_dir = "${options.agentFolder}"
    log_file = "${logOf(options.agentFolder)}"
    log_level = "INFO"
    server_address = "127.0.0.1"
    server_port = "${options.port}"
    socket_path = "${options.agentSocket}"
    trust_bundle_path = "${options.bootstrap}"
    trust_domain = "${TRUST_DOMAIN}"
    join_token = "${options.token}"
}

plugins {
    NodeAttestor "join_token" {
        plugin_data {}
    }
    KeyManager "memory" {
        plugin_data {}
    }
    WorkloadAttestor "unix" {
        plugin_data {}
    }
}
`
}

async function run(program: string, folder: string, configuration: string): Promise<Program> {
  const file = join(folder, 'spire.conf')
  await writeFile(file, configuration, { mode: 0o600 })
  return start(program, ['run', '-config', file])
}

/** Asks until it is well. @throws with what the program logged, when it is not in time */
async function untilUp(folder: string, check: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + UP_MS
  for (;;) {
    try {
      await check()
      return
    } catch (cause) {
      if (Date.now() > deadline) {
        const log = await readFile(logOf(folder), 'utf8').catch(() => '(it logged nothing)')
        throw new Error(`${folder} is not up after ${UP_MS} ms\n${log}`, { cause })
      }
    }
    await sleep(250)
  }
}

async function command(program: string, args: readonly string[]): Promise<string> {
  const options = { timeout: COMMAND_MS, killSignal: 'SIGKILL' } as const
  const { stdout } = await promisify(execFile)(program, args, options)
  return stdout
}

function logOf(folder: string): string {
  return join(folder, 'spire.log')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
