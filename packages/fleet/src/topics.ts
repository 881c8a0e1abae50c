/** The topics of a fleet. */
export interface FleetTopics {
  /** What the Collector writes. */
  readonly spans: string
  /** Spans by lineage, between the stages. */
  readonly entries: string
  /** Of each trace the last verdict: compacted. */
  readonly verdicts: string
  /** All of them. */
  readonly log: string
  /** What of judged traces is compared with other traces, between the stages. */
  readonly facts: string
  /** What is known over all traces, for whoever takes over: compacted. */
  readonly state: string
  /** What is of no trace. */
  readonly findings: string
}

/** @param spans what the Collector writes. The others' names begin with `prefix` */
export function topicsOf(spans: string, prefix: string): FleetTopics {
  return {
    spans,
    entries: `${prefix}-entries`,
    verdicts: `${prefix}-verdicts`,
    log: `${prefix}-verdict-log`,
    facts: `${prefix}-facts`,
    state: `${prefix}-state`,
    findings: `${prefix}-findings`,
  }
}
