import { createKest, currentState, type KestState } from '../../packages/core/dist/index.js'
import { MockIdentityProvider, RecordingLogger } from '../../packages/core/dist/testing/index.js'
import { type Answer, startServer, type TestServer } from './server.js'
import { trust, within } from './services.js'

/** Who is served; `null` is work of the service's own, without a passport. */
export type User = string | null

export const NOBODY = 'nobody'

/** Does something for one user: in an operation of that name, or in none. */
export async function servedTo<T>(user: User, fn: () => Promise<T>): Promise<T> {
  return user === null ? await fn() : await within(user, fn)
}

/** In whose context this runs: a call made here leaves with that passport. */
export function whose(): string {
  return accountIn(currentState()) || NOBODY
}

function accountIn(state: KestState | null): string {
  return state === null ? '' : state.frame.lineage.map(({ entry }) => entry.operation).join()
}

/**
 * A backend that answers with whose account it shows: that of the verified passport, and with `hop` only to who may
 * send it. `/flaky/<n>` fails once for each n, `/moved<path>` is at <path>.
 */
export async function startAccounts(hop: boolean, start = startServer): Promise<TestServer> {
  const failed = new Set<string>()
  const answer: Answer = async ({ url, headers }, response) => {
    const moved = /^\/moved(\/.*)/.exec(url)?.[1]
    if (moved !== undefined) return void response.writeHead(307, { location: moved }).end()
    if (url.startsWith('/flaky/') && !failed.has(url)) {
      failed.add(url)
      return void response.writeHead(503).end()
    }
    try {
      response.end(await accountOf(headers))
    } catch (error) {
      response.writeHead(403).end(String(error))
    }
  }
  const server = await start(answer)
  const listener = createKest({
    identity: new MockIdentityProvider('hop2'),
    trust,
    logger: new RecordingLogger(),
  }).listener(hop ? { binding: 'hop', audiences: [server.origin] } : {})

  async function accountOf(headers: Record<string, string | string[] | undefined>): Promise<string> {
    if (!/kest/.test(String(headers['baggage']))) return NOBODY
    return accountIn(await listener.receive({ headers: { ...headers } }))
  }

  return server
}
