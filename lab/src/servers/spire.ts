import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Failure } from '../failure.js'
import { configurationFile, programFile } from '../files.js'
import { Daemon } from '../supervisor/daemon.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import type { Identities } from './identities.js'
import { spireArguments } from './spire-arguments.js'
import { type ServiceUsers, userOf } from './users.js'

const COMMAND_MS = 60_000

export interface SpireOptions {
  /** For its data and its sockets; other users go through it to the agent's socket. */
  readonly folder: string
  readonly port: number
  readonly ttlSeconds: number
  readonly users: ServiceUsers
  readonly programs: Readonly<Record<'spire-server' | 'spire-agent', string>>
}

/**
 * SPIRE's server and agent, and the registration of the services: the same configuration files, and the same order, as
 * in `docker/compose.yaml`.
 */
export async function startSpire(supervisor: Supervisor, options: SpireOptions): Promise<Identities> {
  const { folder, port, ttlSeconds, users, programs } = options
  const at = (name: string): string => join(folder, name)
  for (const [name, mode] of [
    ['server', 0o700],
    ['agent', 0o700],
    ['handover', 0o700],
    ['public', 0o755],
  ] as const) {
    await mkdir(at(name))
    await chmod(at(name), mode)
  }
  const serverSocket = at('server/api.sock')
  const agentSocket = at('public/api.sock')
  const env = {
    KEST_SPIRE_BIND: '127.0.0.1',
    KEST_SPIRE_PORT: String(port),
    KEST_SPIRE_SERVER: '127.0.0.1',
    KEST_SPIRE_SERVER_SOCKET: serverSocket,
    KEST_SPIRE_SERVER_DATA: at('server'),
    KEST_SPIRE_AGENT_SOCKET: agentSocket,
    KEST_SPIRE_AGENT_DATA: at('agent'),
    KEST_SPIRE_HANDOVER: at('handover'),
  }
  const server = new Daemon(
    {
      name: 'spire-server',
      command: programs['spire-server'],
      args: spireArguments(configurationFile('spire/server.conf')),
      env,
      check: () => ask(programs['spire-server'], 'healthcheck', '-socketPath', serverSocket).then(() => {}),
    },
    supervisor,
  )
  await server.start()
  const register = (): Promise<void> =>
    supervisor
      .spawn({
        name: 'registration',
        command: process.execPath,
        args: [programFile('spire/register'), configurationFile('spire/entries.json')],
        env: { ...env, KEST_SPIRE_SVID_TTL: String(ttlSeconds), SPIRE_SERVER: programs['spire-server'] },
      })
      .complete()
  await register()
  const agent = new Daemon(
    {
      name: 'spire-agent',
      command: programs['spire-agent'],
      args: spireArguments(configurationFile('spire/agent.conf')),
      env: { ...env, KEST_SPIRE_JOIN_TOKEN: await readFile(at('handover/join-token'), 'utf8') },
      check: () => ask(programs['spire-agent'], 'healthcheck', '-socketPath', agentSocket).then(() => {}),
    },
    supervisor,
  )
  await agent.start()
  return {
    settingsOf: (service) => ({
      env: { SPIFFE_ENDPOINT_SOCKET: `unix://${agentSocket}` },
      user: userOf(service, users),
    }),
    bundle: async () =>
      JSON.parse(
        await ask(
          programs['spire-server'],
          'bundle',
          'show',
          '-format',
          'spiffe',
          '-socketPath',
          serverSocket,
        ),
      ),
    async rotateAuthority() {
      const authority = (...args: string[]) =>
        ask(programs['spire-server'], 'localauthority', 'x509', ...args, '-socketPath', serverSocket)
      const prepared = JSON.parse(await authority('prepare', '-output', 'json'))
      const id = prepared?.prepared_authority?.authority_id
      if (typeof id !== 'string') throw new Failure('spire-server prepared no authority')
      await authority('activate', '-authorityID', id)
    },
    stopAgent: () => agent.kill(),
    startAgent: () => agent.start(),
    async withdraw(service) {
      // Registration names it so.
      await ask(
        programs['spire-server'],
        'entry',
        'delete',
        '-entryID',
        `kest-${service}`,
        '-socketPath',
        serverSocket,
      )
    },
    restore: register,
  }
}

async function ask(program: string, ...args: string[]): Promise<string> {
  const options = { timeout: COMMAND_MS, killSignal: 'SIGKILL' } as const
  const { stdout } = await promisify(execFile)(program, args, options)
  return stdout
}
