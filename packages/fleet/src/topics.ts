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
    findings: `${prefix}-findings`,
  }
}
