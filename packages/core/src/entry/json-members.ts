/** A JSON string, and the colon that makes it a name. */
const STRING = /"(?:[^"\\]|\\.)*"(\s*:)?/g

/**
 * How many `"name":` there are in a JSON text, at every depth. `JSON.parse` keeps the last of repeated members and
 * says nothing; the text has more of them than the value then.
 *
 * @param text valid JSON: `JSON.parse` has accepted it
 */
export function countMembers(text: string): number {
  let count = 0
  for (const match of text.matchAll(STRING)) if (match[1] !== undefined) count++
  return count
}

/**
 * How many members a parsed JSON value has, at every depth.
 * @param nesting how deep it may nest; one more is `undefined`
 */
export function countParsedMembers(value: unknown, nesting: number): number | undefined {
  if (typeof value !== 'object' || value === null) return 0
  if (nesting === 0) return undefined
  let count = Array.isArray(value) ? 0 : Object.keys(value).length
  for (const item of Object.values(value)) {
    const inner = countParsedMembers(item, nesting - 1)
    if (inner === undefined) return undefined
    count += inner
  }
  return count
}
