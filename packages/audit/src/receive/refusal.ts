/** Why a request was not taken, as its sender is told. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  /** Of HTTP. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }

  /** Whether its sender gives up what he sent: then the auditor is to know. */
  get loses(): boolean {
    return this.status === 400 || this.status === 413 || this.status === 415
  }
}
