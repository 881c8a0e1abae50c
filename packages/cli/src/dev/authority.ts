import type { DevAuthority } from '@kest/spiffe/dev'
import { SpiffeError } from '@kest/spiffe/verification'
import type { Io } from '../command.js'
import { InputError } from '../files/input-error.js'

/** The variable that has the address of the folder with everybody's socket. */
export const VARIABLE = 'KEST_DEV'
/** Where a workload finds its Workload API (SPIFFE Workload Endpoint §4). */
const ENDPOINT = 'SPIFFE_ENDPOINT_SOCKET'

/**
 * Starts the development authority: a socket for each workload, in a folder that is there, keys in memory.
 *
 * @throws {InputError} in production, and for names that cannot be
 */
export async function startAuthority(
  trustDomain: string,
  names: readonly string[],
  socketDirectory: string,
  { stderr }: Io,
): Promise<DevAuthority> {
  // It brings gRPC along, which no other command needs.
  const { createDevAuthority } = await import('@kest/spiffe/dev')
  try {
    const authority = await createDevAuthority({
      trustDomain,
      workloads: Object.fromEntries(names.map((name) => [name, {}])),
      socketDirectory,
      logger: { debug() {}, info() {}, warn() {}, error() {} },
    })
    await stderr.write(introduction(trustDomain, names))
    return authority
  } catch (cause) {
    if (cause instanceof SpiffeError) throw new InputError(cause.message, { cause })
    throw cause
  }
}

/**
 * The environment of a command: where the sockets are, and of a single workload its own. Of several nobody is one of them by
 * default, nor what the environment said before: each process says which it is.
 */
export function environmentOf({ sockets }: DevAuthority, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { [ENDPOINT]: _, ...others } = env
  const addresses = Object.values(sockets) as [string, ...string[]]
  const folder = addresses[0].slice(0, addresses[0].lastIndexOf('/'))
  const own = addresses.length === 1 ? { [ENDPOINT]: addresses[0] } : {}
  return { ...others, ...own, [VARIABLE]: folder }
}

function introduction(trustDomain: string, names: readonly string[]): string {
  const width = Math.max(...names.map(({ length }) => length))
  const lines = names.map((name) => `  ${name.padEnd(width)}  ${ENDPOINT}=$${VARIABLE}/${name}.sock`)
  return `kest dev: an authority for ${trustDomain}. Whoever opens a socket is that workload: not for production.
${lines.join('\n')}
`
}
