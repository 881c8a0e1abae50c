/** The embedded authority, to the lab: whoever opens this socket is that workload. */
export interface AuthorityReady {
  /** Name of the workload → address of its Workload API. */
  readonly sockets: Readonly<Record<string, string>>
}

/** The lab, to the embedded authority. */
export interface AuthorityQuestion {
  readonly ask: 'bundle' | 'rotate-authority'
}

/** The answer to either: the bundle as it is then. */
export interface AuthorityAnswer {
  readonly bundle: unknown
}
