import type { Service } from '../chain.js'
import { programFile } from '../files.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import type { AuthorityAnswer, AuthorityQuestion, AuthorityReady } from './authority-messages.js'
import type { Identities } from './identities.js'
import { type ServiceUsers, userOf } from './users.js'

export interface EmbeddedOptions {
  /** For its sockets. */
  readonly folder: string
  readonly ttlSeconds: number
  readonly users: ServiceUsers
}

/** Identities of the development authority of `@kest/spiffe`, in a process of its own. */
export async function startEmbedded(
  supervisor: Supervisor,
  { folder, ttlSeconds, users }: EmbeddedOptions,
): Promise<Identities> {
  const authority = supervisor.spawn({
    name: 'authority',
    command: process.execPath,
    args: [programFile('servers/authority'), folder, String(ttlSeconds), ...(users.apart ? ['apart'] : [])],
    ipc: true,
  })
  const { sockets } = await authority.message<AuthorityReady>()
  const ask = async (question: AuthorityQuestion['ask'], service?: Service): Promise<unknown> => {
    const answer = authority.message<AuthorityAnswer>()
    const message: AuthorityQuestion = service === undefined ? { ask: question } : { ask: question, service }
    authority.send(message)
    return (await answer).bundle
  }
  return {
    settingsOf: (service) => ({
      env: { SPIFFE_ENDPOINT_SOCKET: sockets[service] ?? '' },
      user: userOf(service, users),
    }),
    bundle: () => ask('bundle'),
    async rotateAuthority() {
      await ask('rotate-authority')
    },
    async stopAgent() {
      await ask('stop')
    },
    async startAgent() {
      await ask('start')
    },
    async withdraw(service) {
      await ask('withdraw', service)
    },
    async restore(service) {
      await ask('restore', service)
    },
  }
}
