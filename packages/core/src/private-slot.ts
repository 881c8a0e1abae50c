/** What is kept with an object, where nobody but the slot's owner sees it. */
export interface PrivateSlot<Owner extends object, Value> {
  /** `undefined` when nothing was put there. */
  get(of: Owner): Value | undefined
  set(of: Owner, value: Value): void
}

/** A class whose instances are what they are given: those that extend it put their private fields on that. */
class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: this is what it is for
    return object
  }
}

/**
 * Keeps a value with an object that others have made, as a `WeakMap` would: nothing else can read, write or list it. For objects that
 * live as long as a request, such a map is dear: all that its values lead to survives each collection of young objects, until the
 * old ones are collected as well. A private field goes with its object.
 *
 * @example
 * ```ts
 * const exchanges = createPrivateSlot<IncomingMessage, Exchange>()
 * exchanges.set(request, exchange)
 * ```
 */
export function createPrivateSlot<Owner extends object, Value>(): PrivateSlot<Owner, Value> {
  return class Slot extends Given {
    #value: Value

    private constructor(owner: Owner, value: Value) {
      super(owner)
      this.#value = value
    }

    static get(of: object): Value | undefined {
      return #value in of ? of.#value : undefined
    }

    static set(of: Owner, value: Value): void {
      if (#value in of) of.#value = value
      else new Slot(of, value)
    }
  }
}
