const BRAND = Symbol.for('kest.written-baggage.1')

/** Text that says of itself who wrote it. Nobody far away can send such a thing: what is read from a header is plain text. */
class WrittenBaggage extends String {
  readonly [BRAND] = true
}

/**
 * Marks a `baggage` that Kest has decided on, where it still passes another adapter of Kest's on its way: that one leaves it
 * as it is. To libraries that keep what they are given it is text. One that makes plain text of it takes the mark off, and
 * what is Kest's is then removed below.
 *
 * @returns an object, typed as the text that it says
 */
export function markWritten(baggage: string): string {
  return new WrittenBaggage(baggage) as unknown as string
}

/** Whether {@link markWritten} has made a value, of whichever copy of this package. */
export function isWritten(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Reflect.get(value, BRAND) === true
}
