/** No more characters than that, and no half of one. A copy: a part of a text would hold all of it in memory. */
export function bounded(text: string, most: number): string {
  if (text.length <= most) return text
  const part = text.slice(0, most).replace(/[\ud800-\udbff]$/, '')
  return JSON.parse(JSON.stringify(part)) as string
}
