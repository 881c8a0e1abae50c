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
  const ask = async (question: AuthorityQuestion['ask']): Promise<unknown> => {
    const answer = authority.message<AuthorityAnswer>()
    authority.send({ ask: question } satisfies AuthorityQuestion)
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
  }
}
