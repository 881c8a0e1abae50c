/** A file that is to be there. */
export interface WrittenFile {
  /** From the folder of the service. */
  readonly path: string
  readonly text: string
  /** What it is for: a few words. */
  readonly about: string
}
