/** The value of an option that is several words, separated by commas; an empty one is none. */
export function listOf(value: string): string[] {
  return value.split(',').filter((word) => word !== '')
}
