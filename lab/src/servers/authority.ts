// In place of SPIRE: a Workload API for each service, in a process of its own. It attests nothing but that somebody opens
// the socket, which is the service's user's alone where the lab runs as root.
import { once } from 'node:events'
import { chown } from 'node:fs/promises'
import { createDevAuthority, type DevAuthority } from '@kest/spiffe/dev'
import { CHAIN, type Service, TRUST_DOMAIN, USERS } from '../chain.js'
import type { AuthorityAnswer, AuthorityQuestion, AuthorityReady } from './authority-messages.js'

const [socketDirectory, ttlSeconds, apart] = process.argv.slice(2)
if (socketDirectory === undefined || !process.connected)
  throw new Error('it is started by the lab: npm run lab')

const authority = await createDevAuthority({
  trustDomain: TRUST_DOMAIN,
  workloads: Object.fromEntries(CHAIN.map((service) => [service, {}])),
  ttlMs: Number(ttlSeconds) * 1000,
  socketDirectory,
})
if (apart === 'apart') await keepApart(authority)
process.on('message', (question: AuthorityQuestion) => void answer(question))
tell({ sockets: authority.sockets })
await Promise.race([once(process, 'disconnect'), once(process, 'SIGTERM')])
await authority.close()
process.exit(0)

async function answer({ ask, service }: AuthorityQuestion): Promise<void> {
  // All have heard of the new one by then, also on a machine that is busy.
  if (ask === 'rotate-authority') await authority.rotateAuthority({ settleMs: 3_000 })
  if (ask === 'stop') await authority.stop()
  if (ask === 'start') {
    await authority.start()
    if (apart === 'apart') await keepApart(authority)
  }
  if (ask === 'withdraw') authority.withdraw(service as Service)
  if (ask === 'restore') authority.restore(service as Service)
  tell({ bundle: authority.bundle() })
}

async function keepApart({ sockets }: DevAuthority): Promise<void> {
  for (const service of CHAIN) {
    const path = sockets[service]?.replace('unix://', '')
    if (path !== undefined) await chown(path, USERS[service], USERS[service])
  }
}

function tell(message: AuthorityReady | AuthorityAnswer): void {
  process.send?.(message)
}
