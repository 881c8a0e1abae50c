/** Something did not come out as it should. The message says all there is to say. */
export class Failure extends Error {
  override readonly name: string = 'Failure'
  /** What the lab exits with. */
  readonly exitCode: number = 1
}

/** The lab was asked for what it cannot do here: a program is missing, or an argument is not understood. */
export class CannotRun extends Failure {
  override readonly name = 'CannotRun'
  override readonly exitCode = 2
}
