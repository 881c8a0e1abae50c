/** Why a request was not taken, as its sender is told. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  /** Of HTTP. */
  readonly status: number
  /** Whether he could have been taken, and is counted for the auditor: he may come again, and may not. */
  readonly counted: boolean

  constructor(status: number, message: string, counted = false) {
    super(message)
    this.status = status
    this.counted = counted
  }

  /** Whether its sender gives up what he sent: then the auditor is to know. */
  get loses(): boolean {
    return this.status === 400 || this.status === 413 || this.status === 415
  }
}

export function tooMuch(): Refusal {
  return new Refusal(503, 'more has come than is held at once', true)
}

export function tooSlow(): Refusal {
  return new Refusal(408, 'the body came too slowly', true)
}
