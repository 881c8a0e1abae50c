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

/** Sends what is prepared when what was to be sent before has been, however long it takes to prepare each. */
export async function inTurn<T, R>(
  turns: Turns,
  prepared: Promise<T>,
  send: (value: T) => Promise<R>,
): Promise<R> {
  const turn = turns.take()
  try {
    const [value] = await Promise.all([prepared, turn.came])
    const sent = send(value)
    turn.pass()
    return await sent
  } finally {
    turn.pass()
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
