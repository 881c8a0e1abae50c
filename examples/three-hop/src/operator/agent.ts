import { Failure } from '../failure.js'
import type { Identities } from './identities.js'
import { connectSvids } from './svids.js'
import type { Watch } from './watch.js'

/**
 * Identities of a real agent: all hops ask at the same address, and it attests each of them by itself.
 *
 * @param users that the hops run as, in the chain's order, so that an agent can tell them apart; none for the operator's own
 * @throws {Failure} when it has nothing for the operator, and when others than root want users
 */
export async function connectAgent(
  address: string,
  hops: readonly string[],
  users: readonly number[],
  watch: Watch,
): Promise<Identities> {
  if (users.length > 0 && process.getuid?.() !== 0)
    throw new Failure('--users: only root can start a service as another user')
  const env = { SPIFFE_ENDPOINT_SOCKET: address }
  return await connectSvids(address, watch, {
    description: `SVIDs of the agent at ${address}`,
    settingsOf(name) {
      const user = users[hops.indexOf(name)]
      return user === undefined ? { env } : { env, user }
    },
    release: async () => {},
  })
}
