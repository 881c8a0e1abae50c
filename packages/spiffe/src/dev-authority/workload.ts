import type { Authority, IssuedSvid } from './authority.js'
import { issueX509Svid } from './authority.js'
import { Changes } from './changes.js'
import type { KeyType } from './keys.js'
import type { ResolvedWorkload } from './options.js'

export interface WorkloadSvid extends IssuedSvid {
  readonly hint: string
}

/** What one workload is now. Its SVIDs are renewed at half of their life. */
export class Workload {
  readonly name: string
  readonly ids: ResolvedWorkload['ids']
  readonly changes: Changes = new Changes()
  readonly #ttlMs: number
  readonly #keyType: KeyType
  readonly #authority: () => Authority
  #svids: readonly WorkloadSvid[] = []
  #withdrawn = false
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #rotating: Promise<void> = Promise.resolve()

  /** @param authority the one that signs at the time */
  constructor({ name, ids, ttlMs }: ResolvedWorkload, keyType: KeyType, authority: () => Authority) {
    this.name = name
    this.ids = ids
    this.#ttlMs = ttlMs
    this.#keyType = keyType
    this.#authority = authority
  }

  /** Empty while its identity is withdrawn. */
  get svids(): readonly WorkloadSvid[] {
    return this.#withdrawn ? [] : this.#svids
  }

  /** New keys, new certificates. One after the other: what was begun last counts, and not what took longest. */
  rotate(): Promise<void> {
    const rotated = this.#rotating.then(() => this.#rotate())
    this.#rotating = rotated.catch(() => undefined)
    return rotated
  }

  async #rotate(): Promise<void> {
    const authority = this.#authority()
    const options = { keyType: this.#keyType, ttlMs: this.#ttlMs }
    const svids = await Promise.all(
      this.ids.map(async ({ id, hint }) => ({ ...(await issueX509Svid(authority, id, options)), hint })),
    )
    if (this.#closed) return
    this.#svids = svids
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.rotate(), this.#ttlMs / 2).unref()
    this.changes.emit()
  }

  set withdrawn(withdrawn: boolean) {
    this.#withdrawn = withdrawn
    this.changes.emit()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }
}
