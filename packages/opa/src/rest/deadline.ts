/** What can be ended before it is done. */
export interface Endable {
  end(reason: unknown): void
}

/** What is under way together, and ends together. What comes after the end is ended at once. */
export class Scope implements Endable {
  readonly #members = new Set<Endable>()
  #over: { readonly reason: unknown } | undefined

  get over(): boolean {
    return this.#over !== undefined
  }

  add(member: Endable): void {
    if (this.#over === undefined) this.#members.add(member)
    else member.end(this.#over.reason)
  }

  done(member: Endable): void {
    this.#members.delete(member)
  }

  end(reason: unknown): void {
    if (this.#over !== undefined) return
    this.#over = { reason }
    for (const member of this.#members) member.end(reason)
    this.#members.clear()
  }

  /** What `promise` becomes, if that is before the end. @throws the reason of the end otherwise */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let member: Endable | undefined
    const over = new Promise<never>((_, reject) => {
      member = { end: reject }
      this.add(member)
    })
    try {
      return await Promise.race([promise, over])
    } finally {
      this.done(member as Endable)
    }
  }
}

/** That the time is up. */
export class TimeIsUp extends Error {
  override readonly name = 'TimeIsUp'
}

/** Ends what is under way when the time is up, or when whoever asked has left. After its last user it ends nothing. */
export class Deadline extends Scope {
  readonly #caller: AbortSignal
  readonly #timer: NodeJS.Timeout
  #users: number

  /** @param users how many there are; each lets go of it once */
  constructor(caller: AbortSignal, timeoutMs: number, users: number) {
    super()
    this.#caller = caller
    this.#users = users
    this.#timer = setTimeout(() => this.end(new TimeIsUp(`${timeoutMs} ms`)), timeoutMs)
    if (caller.aborted) this.#leave()
    else caller.addEventListener('abort', this.#leave)
  }

  letGo(): void {
    if (--this.#users > 0) return
    clearTimeout(this.#timer)
    this.#caller.removeEventListener('abort', this.#leave)
  }

  readonly #leave = (): void => this.end(this.#caller.reason)
}
