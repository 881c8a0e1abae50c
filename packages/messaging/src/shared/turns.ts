/** One of several that were begun one after the other. */
export interface Turn {
  /** Resolves when all before it have passed. */
  readonly came: Promise<unknown>
  /** Lets those behind it go on. Idempotent. */
  pass(): void
}

/**
 * What was begun first goes on first, however long it takes to prepare each: messages are signed, and judged, at once, and
 * leave, and are handled, in their order. Whoever takes a turn passes, whatever becomes of him.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  take(): Turn {
    const came = this.#last
    const { promise, resolve } = deferred()
    this.#last = Promise.all([came, promise])
    return { came, pass: resolve }
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
