import { listOf } from '../arguments/list.js'
import type { Options } from '../arguments/options.js'
import { UsageError } from '../arguments/usage-error.js'
import { type About, type Command, defineCommand } from '../command.js'
import { environmentOf, startAuthority } from '../dev/authority.js'
import { runChild } from '../dev/run-child.js'
import { TemporaryFolder } from '../files/temporary-folder.js'
import { writeResult } from '../files/write.js'

const OPTIONS = {
  workloads: {
    type: 'string',
    multiple: true,
    value: 'LIST',
    help: `Names, separated by commas; may be repeated. The SPIFFE ID of "orders" is spiffe://example.org/orders.`,
  },
  'trust-domain': { type: 'string', value: 'NAME', help: 'Another than example.org.' },
  'write-trust': {
    type: 'string',
    value: 'FILE',
    choices: 'file',
    help: 'Writes the trust bundle, which kest audit and verify take as --trust FILE; each run has a new one.',
  },
} as const satisfies Options

const ABOUT: About = {
  name: 'dev',
  usage: ['--workloads LIST [options] -- COMMAND [arguments]'],
  about: `
Runs a command, and for as long as it runs an authority that gives it and what it starts
their identities, as SPIRE does in production: a SPIFFE Workload API for each workload,
on a Unix socket of its own. For development: whoever opens a socket is that workload.
It does not run with NODE_ENV=production.

The command has KEST_DEV in its environment, the address of the folder of all sockets: a
process says which workload it is by SPIFFE_ENDPOINT_SOCKET=$KEST_DEV/orders.sock. Where
there is one workload alone, that is set already. Signals are forwarded.`,
  arguments: 'command',
  examples: [
    'kest dev --workloads orders -- node orders.js',
    'kest dev --workloads edge,orders --write-trust trust.json -- npm run dev',
  ],
  exitStatus: `that of the command, 128 and more when a signal ended it; 2 when it
cannot be started, or this one was used wrongly.`,
}

export const dev: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals, other }, io) => {
  const [program, ...args] = other
  if (!program || positionals.length > 0)
    throw new UsageError('which command? It comes behind "--": kest dev --workloads orders -- npm run dev')
  const names = namesOf(values.workloads)
  using folder = await TemporaryFolder.create()
  await using authority = await startAuthority(
    values['trust-domain'] ?? 'example.org',
    names,
    folder.path,
    io,
  )
  const trust = { bundles: { [authority.trustDomain.name]: authority.bundle() } }
  if (values['write-trust'] !== undefined)
    await writeResult(`${JSON.stringify(trust)}\n`, values['write-trust'], io)
  return await runChild([program, ...args], environmentOf(authority, process.env))
})

/** @throws {UsageError} */
function namesOf(lists: readonly string[] = []): string[] {
  const names = lists.flatMap(listOf)
  if (names.length === 0)
    throw new UsageError('--workloads: expected names, separated by commas, such as edge,orders')
  const twice = names.find((name, i) => names.indexOf(name) < i)
  if (twice !== undefined) throw new UsageError(`--workloads: ${twice} is named twice`)
  return names
}
