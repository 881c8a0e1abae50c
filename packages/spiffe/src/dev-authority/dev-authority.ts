import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SpiffeError } from '../errors.js'
import { TrustDomain } from '../id/spiffe-id.js'
import { type Authority, createAuthority } from './authority.js'
import { type DevAuthorityOptions, type ResolvedOptions, resolveOptions } from './options.js'
import { createService } from './service.js'
import { WorkloadSocket } from './socket.js'
import { type SpiffeBundleDocument, Trust } from './trust.js'
import { Workload } from './workload.js'

/** How long a new authority is in every bundle before it signs, milliseconds. */
const SETTLE_MS = 250

const WARNING =
  'development authority: whoever can open a socket is given its identity; nothing else is attested. Not for production.'

/** A SPIFFE authority and its Workload API, for development and tests: see {@link createDevAuthority}. */
export interface DevAuthority {
  readonly trustDomain: TrustDomain
  /** Name of the workload → address of its Workload API, as `SPIFFE_ENDPOINT_SOCKET` takes it. */
  readonly sockets: Readonly<Record<string, string>>
  /** The bundle now, in the SPIFFE format. */
  bundle(): SpiffeBundleDocument
  /** Gives a workload (default all) new keys and certificates now. */
  rotateSvid(name?: string): Promise<void>
  /**
   * Makes a new authority: first it is in the bundle, so that everybody has it, then it signs, for every workload anew. The
   * old one stays in the bundle until {@link DevAuthority.retireAuthorities}.
   *
   * @param options.settleMs how long it is only in the bundle; default 250
   */
  rotateAuthority(options?: { readonly settleMs?: number }): Promise<void>
  /** Takes all authorities but the current one out of the bundle: what they signed is worth nothing any more. */
  retireAuthorities(): void
  /** Takes the identity of a workload away: its streams end with `PermissionDenied`, as new ones do. */
  withdraw(name: string): void
  /** Gives it back. */
  restore(name: string): void
  /** Trusts another authority's domain: its bundle goes to all workloads, and so do its changes. One direction. */
  federateWith(other: DevAuthority): void
  federateWith(trustDomain: string, bundle: unknown): void
  /** Ends a federation. */
  separateFrom(trustDomain: string): void
  /** Takes the socket of a workload (default all) away, with every stream on it. */
  stop(name?: string): Promise<void>
  /** Puts it back, at the same address. */
  start(name?: string): Promise<void>
  /** Ends everything, and removes the sockets. Idempotent. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a SPIFFE authority with a real Workload API (FetchX509SVID, FetchX509Bundles, FetchJWTSVID, FetchJWTBundles,
 * ValidateJWTSVID) on Unix sockets, one for each workload.
 *
 * It attests nothing: *which socket you open decides who you are*. Sockets have mode 0600 and lie in a private directory, so
 * that whoever may act as this user may be any of its workloads. Keys are in memory only and new with every start. It
 * refuses to run with `NODE_ENV=production`.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_DEV_AUTHORITY` in production, on Windows, and when a socket cannot be made;
 *   `ERR_SPIFFE_CONFIG`, `ERR_SPIFFE_ID`, `ERR_SPIFFE_TRUST_DOMAIN` for wrong options
 *
 * @example
 * ```ts
 * const authority = await createDevAuthority({ trustDomain: 'example.org', workloads: { hop1: {}, hop2: {} } })
 * const identity = await SPIREProvider.connect({ address: authority.sockets.hop1 })
 * ```
 */
export async function createDevAuthority(options: DevAuthorityOptions): Promise<DevAuthority> {
  assertDevelopment()
  const resolved = resolveOptions(options)
  const trust = new Trust(resolved.trustDomain, await createAuthority(resolved.trustDomain, resolved))
  const ownDirectory = resolved.socketDirectory === undefined
  const directory = await directoryOf(resolved)
  const authority = new Running(resolved, trust, directory, ownDirectory)
  try {
    await authority.rotateSvid()
    await authority.start()
  } catch (error) {
    await authority.close()
    throw error
  }
  const details = { trustDomain: resolved.trustDomain.name, directory }
  if (resolved.logger === undefined) process.emitWarning(WARNING, { code: 'KEST_DEV_AUTHORITY' })
  else resolved.logger.warn(details, WARNING)
  return authority
}

async function directoryOf({ socketDirectory }: ResolvedOptions): Promise<string> {
  if (socketDirectory === undefined) return mkdtemp(join(tmpdir(), 'kest-spiffe-'))
  const found = await stat(socketDirectory).catch(() => undefined)
  if (found?.isDirectory() === true) return resolve(socketDirectory)
  throw new SpiffeError(
    'ERR_SPIFFE_CONFIG',
    `development authority: socketDirectory: ${socketDirectory} is no directory`,
  )
}

function assertDevelopment(): void {
  const refuse = (why: string): SpiffeError =>
    new SpiffeError('ERR_SPIFFE_DEV_AUTHORITY', `development authority: ${why}`)
  if (process.env['NODE_ENV'] === 'production')
    throw refuse('it attests nothing, and so does not run in production')
  if (process.platform === 'win32') throw refuse('it needs Unix sockets')
}

const trustOf = new WeakMap<DevAuthority, Trust>()

interface Member {
  readonly workload: Workload
  readonly socket: WorkloadSocket
}

class Running implements DevAuthority {
  readonly trustDomain: TrustDomain
  readonly sockets: Readonly<Record<string, string>>
  readonly #options: ResolvedOptions
  readonly #trust: Trust
  readonly #members = new Map<string, Member>()
  readonly #directory: string | undefined
  readonly #followed = new Map<string, () => void>()
  #signing: Authority
  #closed = false

  constructor(options: ResolvedOptions, trust: Trust, directory: string, ownDirectory: boolean) {
    this.trustDomain = options.trustDomain
    this.#options = options
    this.#trust = trust
    this.#signing = trust.own[0] as Authority
    this.#directory = ownDirectory ? directory : undefined
    for (const resolved of options.workloads) {
      const workload = new Workload(resolved, options.keyType, () => this.#signing)
      const service = createService(workload, trust, options.jwtTtlMs)
      const socket = new WorkloadSocket(join(directory, `${resolved.name}.sock`), service)
      this.#members.set(resolved.name, { workload, socket })
    }
    this.sockets = Object.freeze(
      Object.fromEntries([...this.#members].map(([name, { socket }]) => [name, socket.address])),
    )
    trustOf.set(this, trust)
  }

  bundle(): SpiffeBundleDocument {
    return this.#trust.document()
  }

  async rotateSvid(name?: string): Promise<void> {
    await this.#each(name, ({ workload }) => workload.rotate())
  }

  async rotateAuthority(options: { readonly settleMs?: number } = {}): Promise<void> {
    this.#assertOpen()
    const next = await createAuthority(this.trustDomain, this.#options)
    this.#trust.own = [...this.#trust.own, next]
    await sleep(options.settleMs ?? SETTLE_MS)
    // Whoever signs is the first.
    this.#trust.own = [next, ...this.#trust.own.filter((authority) => authority !== next)]
    this.#signing = next
    await this.rotateSvid()
  }

  retireAuthorities(): void {
    this.#trust.own = [this.#signing]
  }

  withdraw(name: string): void {
    this.#member(name).workload.withdrawn = true
  }

  restore(name: string): void {
    this.#member(name).workload.withdrawn = false
  }

  federateWith(other: DevAuthority | string, bundle?: unknown): void {
    this.#assertOpen()
    if (typeof other === 'string') {
      const trustDomain = this.#foreign(other)
      this.separateFrom(other)
      this.#trust.federate(trustDomain, bundle)
      return
    }
    const trustDomain = this.#foreign(other.trustDomain.name)
    this.separateFrom(trustDomain.name)
    const copy = (): void => this.#trust.federate(trustDomain, other.bundle())
    const unsubscribe = trustOf.get(other)?.changes.subscribe(copy)
    if (unsubscribe === undefined)
      throw new SpiffeError('ERR_SPIFFE_CONFIG', 'expected a development authority')
    this.#followed.set(trustDomain.name, unsubscribe)
    copy()
  }

  separateFrom(trustDomain: string): void {
    this.#followed.get(trustDomain)?.()
    this.#followed.delete(trustDomain)
    this.#trust.unfederate(this.#foreign(trustDomain))
  }

  async stop(name?: string): Promise<void> {
    await this.#each(name, ({ socket }) => socket.stop())
  }

  async start(name?: string): Promise<void> {
    this.#assertOpen()
    await this.#each(name, ({ socket }) => socket.start())
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const unsubscribe of this.#followed.values()) unsubscribe()
    this.#followed.clear()
    for (const { workload } of this.#members.values()) workload.close()
    await this.stop()
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #foreign(name: string): TrustDomain {
    const trustDomain = TrustDomain.parse(name)
    if (!trustDomain.equals(this.trustDomain)) return trustDomain
    throw new SpiffeError('ERR_SPIFFE_CONFIG', `development authority: ${name} is its own trust domain`)
  }

  #member(name: string): Member {
    const member = this.#members.get(name)
    if (member !== undefined) return member
    throw new SpiffeError(
      'ERR_SPIFFE_CONFIG',
      `development authority: there is no workload ${JSON.stringify(name)}`,
    )
  }

  async #each(name: string | undefined, action: (member: Member) => Promise<void>): Promise<void> {
    const members = name === undefined ? [...this.#members.values()] : [this.#member(name)]
    await Promise.all(members.map(action))
  }

  #assertOpen(): void {
    if (this.#closed) throw new SpiffeError('ERR_SPIFFE_CLOSED', 'development authority: it was closed')
  }
}
