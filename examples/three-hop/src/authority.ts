// The embedded authority: a Workload API for each of the names that the operator gives. It attests nothing but that
// somebody opens the socket. In production this is SPIRE.
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createDevAuthority } from '@kest/spiffe/dev'
import { TRUST_DOMAIN } from './chain.js'
import { tell } from './hop/tell.js'

const [socketDirectory, ...names] = process.argv.slice(2)
if (socketDirectory === undefined) throw new Error('the authority is started by the operator: npm start')

try {
  // The operator may be gone already.
  if (process.connected) await serve(socketDirectory)
} finally {
  await rm(socketDirectory, { recursive: true, force: true })
}

/** Until the operator is gone. */
async function serve(directory: string): Promise<void> {
  const alone = once(process, 'disconnect')
  await using authority = await createDevAuthority({
    trustDomain: TRUST_DOMAIN,
    workloads: Object.fromEntries(names.map((name) => [name, {}])),
    socketDirectory: directory,
  })
  tell({ sockets: authority.sockets })
  await alone
}
