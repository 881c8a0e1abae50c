/**
 * How many `"name":` there are in a JSON text, at every depth. `JSON.parse` keeps the last of repeated members and
 * says nothing; the text has more of them than the value then.
 *
 * @param text valid JSON: `JSON.parse` has accepted it
 */
export function countMembers(text: string): number {
  let count = 0
  for (let open = text.indexOf('"'); open !== -1; ) {
    let at = text.indexOf('"', open + 1)
    while (isEscaped(text, at)) at = text.indexOf('"', at + 1)
    do at++
    while (isSpace(text.charCodeAt(at)))
    if (text[at] === ':') count++
    open = text.indexOf('"', at)
  }
  return count
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1
  while (text[before] === '\\') before--
  return (at - before) % 2 === 0
}

/** JSON's: space, tab, and ends of lines. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d
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
