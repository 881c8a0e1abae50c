/** Of an error that says why something was given up. */
export interface GivenUp {
  readonly code?: string
  readonly cause?: { readonly code?: string }
}

const MOST_MS = 20_000

/**
 * How an attempt fails that gives up after some time. It is given more where that was too short, on a busy machine, to
 * meet what is in the way.
 *
 * @param attempt to be given up after so many milliseconds
 */
export async function givenUp(attempt: (ms: number) => Promise<unknown>): Promise<GivenUp> {
  for (let ms = 150; ; ms *= 4) {
    const error = await attempt(ms).then(
      () => new Error('it was not given up'),
      (reason: unknown) => reason as GivenUp,
    )
    if (!('code' in error) || error.cause !== undefined || ms > MOST_MS) return error as GivenUp
  }
}
