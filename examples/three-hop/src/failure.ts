/** Something did not come out as it should. The message says all there is to say. */
export class Failure extends Error {
  override readonly name = 'Failure'
}
