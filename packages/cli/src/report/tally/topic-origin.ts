/** Where verdicts are from that auditors of a fleet wrote, and that nobody has judged again. */
export interface TopicOrigin {
  readonly topic: string
  /** When they were judged, milliseconds since the epoch: the first, and the last. */
  readonly firstMs: number
  readonly lastMs: number
  /** Traces that were judged as they stood, because too much was open. */
  readonly early: number
  /** Traces of which retention took some spans before others came. */
  readonly partial: number
}
