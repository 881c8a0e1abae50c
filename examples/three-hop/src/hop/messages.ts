import type { JsonWebKey } from 'node:crypto'
import type { KeyList } from '../chain.js'

/** A hop, to the operator: this is who I am. */
export interface Enlistment {
  /** Whom its identity makes it, be it an SVID or a key of its own. */
  readonly workloadId: string
  /** With a key of its own, its public half; otherwise `null`: certificates travel with the entries. */
  readonly publicKey: JsonWebKey | null
}

/** The operator, to a hop: this is your place. */
export interface Assignment {
  /** Who may stand before this hop, and with which keys. None where there are certificates. */
  readonly keys: KeyList
  /** Where the next hop is; `""` for the last one. */
  readonly next: string
  /** Where its spans go: into a folder, or to a Collector. */
  readonly spans: { readonly exporter: 'file' | 'otlp'; readonly endpoint: string }
}

/** A hop, to the operator: I serve here. */
export interface Ready {
  readonly origin: string
}

/** The embedded authority, to the operator: whoever opens this socket is that workload. */
export interface AuthorityReady {
  /** Name of the workload → address of its Workload API. */
  readonly sockets: Readonly<Record<string, string>>
}
