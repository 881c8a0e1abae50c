// Registers the workloads with SPIRE's server, and hands over what the agent needs to join: a token, which is good once,
// and the server's bundle. It ends; run again, it does no harm.
import { execFile } from 'node:child_process'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { registrationsOf } from './entries.js'

const AGENT = 'spiffe://example.org/agent'
const COMMAND_MS = 60_000

const [entriesFile] = process.argv.slice(2)
if (entriesFile === undefined) throw new Error('usage: register.js ENTRIES.json')
const program = process.env['SPIRE_SERVER'] ?? 'spire-server'
const socket = required('KEST_SPIRE_SERVER_SOCKET')
const handover = required('KEST_SPIRE_HANDOVER')
const ttlSeconds = process.env['KEST_SPIRE_SVID_TTL']

const registrations = registrationsOf(
  await readFile(entriesFile, 'utf8'),
  ttlSeconds === undefined ? undefined : Number(ttlSeconds),
)
for (const { id, args } of registrations) {
  const known = JSON.parse(await server('entry', 'show', '-spiffeID', id, '-output', 'json'))
  if (known.entries.length === 0) await server('entry', 'create', ...args)
  else await server('entry', 'update', ...args)
}
await hand('bootstrap.pem', await server('bundle', 'show'))
const token = /^Token: (\S+)/m.exec(await server('token', 'generate', '-spiffeID', AGENT))?.[1]
if (token === undefined) throw new Error('spire-server token generate: there is no token in what it says')
await hand('join-token', token)
console.log(`registered ${registrations.map(({ id }) => id).join(', ')}`)

async function server(...args: string[]): Promise<string> {
  const options = { timeout: COMMAND_MS, killSignal: 'SIGKILL' } as const
  const { stdout } = await promisify(execFile)(program, [...args, '-socketPath', socket], options)
  return stdout
}

/** Whole, or not at all. */
async function hand(name: string, text: string): Promise<void> {
  const file = join(handover, name)
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

function required(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`${name}: expected a path`)
  return value
}
