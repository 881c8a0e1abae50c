/**
 * What an edge takes for a query: an item is a short name, or there is none. Whatever else is asked for is the user's mistake (400),
 * and must not get as far as Kest, to which a resource without an id is the service's own (500).
 */
export const ITEM_QUERY = {
  type: 'object',
  properties: { item: { type: 'string', pattern: '^[\\w.:-]{1,100}$' } },
} as const

/** Several parts of a service ask for that of one request, one after the other. */
let last = { url: '/', item: 'any' }

/** What a request is about: `?item=…`. Policies see it as the resource, and every entry says it. */
export function itemOf(url: string): string {
  if (url !== last.url) last = { url, item: new URL(url, 'http://service').searchParams.get('item') ?? 'any' }
  return last.item
}

/** The next service's URL, for the same item. */
export function forward(next: URL, from: string): URL {
  const url = new URL(next)
  url.search = new URL(from, 'http://service').search
  return url
}
