/** Longer texts are made anew each time, so that strangers cannot fill memory with them. */
const MAX_LENGTH = 8_192

interface Made<T> {
  readonly text: string
  readonly value: T
}

/**
 * Remembers what `make` made of the last texts: headers and labels that come again with every entry of a workload.
 * Failures are not remembered. What is made must be frozen, for all get the same.
 */
export function memo<T>(max: number, make: (text: string) => T): (text: string) => T {
  const made = new Map<string, Made<T>>()
  // Mostly the same comes again, and comparing takes less than hashing.
  let last: Made<T> | undefined
  return (text) => {
    if (last?.text === text) return last.value
    const known = made.get(text)
    if (known !== undefined) {
      last = known
      return known.value
    }
    const value = make(text)
    if (text.length > MAX_LENGTH) return value
    if (made.size >= max) made.delete(made.keys().next().value as string)
    // A copy: `text` may be a slice that would keep all of a passport in memory.
    last = { text: Buffer.from(text, 'utf8').toString('utf8'), value }
    made.set(last.text, last)
    return value
  }
}
