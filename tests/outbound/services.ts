import {
  type CacheProvider,
  createKest,
  createKeySource,
  type IdentityProvider,
  type Kest,
  type KestState,
  MemoryCache,
} from '../../packages/core/dist/index.js'
import {
  MockIdentityProvider,
  MockPolicyEngine,
  RecordingLogger,
} from '../../packages/core/dist/testing/index.js'
import type { Received } from './server.js'

const identity = new MockIdentityProvider('hop1')
export const trust = createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })

/** What the calling service and the called one share, where passports are too large for a header. */
export const cache = new MemoryCache()

type Options = Omit<Parameters<typeof createKest>[0], 'engine'>

/** A calling service. No cache is late: they answer when a test tells them to, on machines that are busy. */
export function caller({ propagation, ...options }: Options = {}): Kest {
  return createKest({
    identity,
    engine: new MockPolicyEngine(),
    logger: new RecordingLogger(),
    propagation: { cacheTimeoutMs: 3_600_000, ...propagation },
    ...options,
  })
}

/** The same caller's identity, with its key elsewhere: its signatures come later. */
export const remoteIdentity: IdentityProvider = {
  getWorkloadId: () => identity.getWorkloadId(),
  current: () => ({
    ...identity.current(),
    local: false,
    sign: async (input) => identity.current().sign(input),
  }),
}

/** The one that most tests use. */
export const kest = caller()

/** Runs `fn` inside an operation of that name, which is a root of its own. */
export async function within<T>(operation: string, fn: () => T, by: Kest = kest): Promise<Awaited<T>> {
  const begun = await by.begin({ operation, policy: 'test', origin: 'system' })
  return begun.run(fn)
}

/**
 * The called service: names the operations in the passport that a request carries, and refuses what does not verify.
 * A listener takes the passport out of the headers that it is given: it gets a copy.
 */
export async function operationsIn(
  headers: Record<string, string | string[] | undefined>,
): Promise<string[]> {
  const { frame }: KestState = await callee.listener().receive({ headers: { ...headers } })
  return frame.lineage.map(({ entry }) => entry.operation)
}

const callee = createKest({
  identity: new MockIdentityProvider('hop2'),
  trust,
  cache,
  logger: new RecordingLogger(),
})

/** Why the called service refuses a request whose token has to be bound to all of it; `null` when it does not. */
export async function boundRefusal(
  { method, url, headers, body }: Received,
  audience: string,
): Promise<string | null> {
  const each = createKest({
    identity: new MockIdentityProvider('hop2'),
    trust,
    logger: new RecordingLogger(),
  })
  const listener = each.listener({
    binding: 'hop',
    audiences: [audience],
    require: ['method', 'path', 'body'],
  })
  return listener.receive({ method, url, headers: { ...headers }, body: () => [Buffer.from(body)] }).then(
    () => null,
    ({ code }) => code,
  )
}

/** `entries` operations of a kilobyte each, one inside the other: too many for a header. */
export async function deepWithin<T>(entries: number, by: Kest, fn: () => T): Promise<Awaited<T>> {
  const metadata = Array.from({ length: 16 }, () => crypto.randomUUID())
  const begun = await by.begin({ operation: `deep${entries}`, policy: 'test', origin: 'system', metadata })
  return (await begun.run(() => (entries > 1 ? deepWithin(entries - 1, by, fn) : fn()))) as Awaited<T>
}

/** The shared cache, which answers when it is told to. */
export function gatedCache() {
  let open = (): void => {}
  let tell = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const asked = new Promise<void>((resolve) => {
    tell = resolve
  })
  const provider: CacheProvider = {
    get: (key) => cache.get(key),
    async setIfAbsent(...entry) {
      tell()
      await opened
      return cache.setIfAbsent(...entry)
    },
  }
  return { provider, asked, open }
}
