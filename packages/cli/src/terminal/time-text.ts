/** A time in milliseconds since the epoch, as RFC 3339 writes it; it may lie beyond what a date can say. */
export function timeText(milliseconds: number): string {
  const date = new Date(milliseconds)
  return Number.isNaN(date.getTime()) ? `${milliseconds} ms` : date.toISOString()
}
