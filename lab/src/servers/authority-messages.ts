import type { Service } from '../chain.js'

/** The embedded authority, to the lab: whoever opens this socket is that workload. */
export interface AuthorityReady {
  /** Name of the workload → address of its Workload API. */
  readonly sockets: Readonly<Record<string, string>>
}

/** The lab, to the embedded authority. */
export interface AuthorityQuestion {
  readonly ask: 'bundle' | 'rotate-authority' | 'stop' | 'start' | 'withdraw' | 'restore'
  /** Whom it is about: of the last two. */
  readonly service?: Service
}

/** The answer to any: the bundle as it is then. */
export interface AuthorityAnswer {
  readonly bundle: unknown
}
