/**
 * The value of `Vary` (RFC 9110 §12.5.5) by which no cache gives what was answered to one passport to another request.
 * @param current what the response says so far
 */
export function varyByBaggage(current: number | string | readonly string[] | undefined): string {
  if (current === undefined) return 'baggage'
  const listed = [current].flat().join(', ')
  const fields = listed.split(',').map((field) => field.trim().toLowerCase())
  if (fields.includes('baggage') || fields.includes('*')) return listed
  return listed === '' ? 'baggage' : `${listed}, baggage`
}
