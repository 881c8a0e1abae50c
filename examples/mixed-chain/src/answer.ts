/** What each hop answers: what the hops behind it know, and the passport as the last one had it. */
export interface Answer {
  readonly hops: readonly string[]
  readonly passport: readonly string[]
}
