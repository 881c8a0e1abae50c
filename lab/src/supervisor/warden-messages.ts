/** The lab, to its warden. */
export interface WardenMessage {
  /** A process group that the lab has started. */
  readonly group: number
  /** Whether it is no more. */
  readonly ended: boolean
}
