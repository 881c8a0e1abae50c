/** What a request is about: `?item=…`. Policies see it as the resource, and every entry says it. */
export function itemOf(url: string): string {
  return new URL(url, 'http://service').searchParams.get('item') ?? 'any'
}

/** The next service's URL, for the same item. */
export function forward(next: URL, from: string): URL {
  const url = new URL(next)
  url.search = new URL(from, 'http://service').search
  return url
}
