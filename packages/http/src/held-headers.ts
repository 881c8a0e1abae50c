import { type ClientRequest, validateHeaderName, validateHeaderValue } from 'node:http'

type Args = readonly unknown[]
type Header = readonly [name: string, value: string | readonly string[]]

/** Headers that were kept out of a request's arguments, for it to be made without writing them. */
export interface HeldHeaders {
  readonly args: Args
  /** Puts them on the request, and sends them where they would have been sent. */
  putOn(request: ClientRequest): void
}

/**
 * Takes out of the arguments of `http.request` what would make Node write the header at once: a list of headers, and
 * `Expect`. Node asks for the answer to `Expect` as soon as the request is made; that it still does, when Kest lets it.
 *
 * @returns `null` where there is nothing of the kind, and for what Node refuses, for it to say so
 */
export function holdHeaders(args: Args): HeldHeaders | null {
  const at = typeof args[0] === 'string' || isUrl(args[0]) ? 1 : 0
  const options = args[at]
  if (typeof options !== 'object' || options === null) return null
  const { headers } = options as { readonly headers?: unknown }
  if (typeof headers !== 'object' || headers === null) return null
  if (Array.isArray(headers)) {
    const held = listed(headers)
    // With a list, Node adds neither of these.
    return held && holding(args, at, { ...options, headers: {}, setHost: false, auth: undefined }, held)
  }
  const expect = Object.entries(headers).filter(([name, value]) => name.toLowerCase() === 'expect' && value)
  if (expect.length === 0) return null
  const rest = Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'expect'))
  return holding(args, at, { ...options, headers: rest }, expect as unknown as Header[])
}

function holding(args: Args, at: number, options: object, headers: readonly Header[]): HeldHeaders {
  return {
    args: args.with(at, options),
    putOn(request) {
      for (const [name, value] of headers) request.setHeader(name, value)
      if (request.getHeader('expect')) request.flushHeaders()
    },
  }
}

/** What is there more than once becomes a list of values: it is written line by line. */
function listed(list: readonly unknown[]): Header[] | null {
  const flat = !Array.isArray(list[0])
  if (flat && list.length % 2 !== 0) return null
  const pairs = flat
    ? Array.from({ length: list.length / 2 }, (_, n) => [list[2 * n], list[2 * n + 1]])
    : (list as readonly unknown[][])
  const headers = new Map<string, { readonly name: string; readonly values: string[] }>()
  try {
    for (const [name, value] of pairs as [string, string][]) {
      const values = [value].flat() as string[]
      validateHeaderName(name)
      for (const each of values) validateHeaderValue(name, each)
      const known = headers.get(name.toLowerCase())
      if (known === undefined) headers.set(name.toLowerCase(), { name, values })
      else known.values.push(...values)
    }
  } catch {
    return null
  }
  return [...headers.values()].map(({ name, values }) => [name, values.length === 1 ? values[0]! : values])
}

/** As Node tells one. */
export function isUrl(value: unknown): boolean {
  const url = value as Partial<Record<'href' | 'protocol' | 'auth' | 'path', unknown>> | null | undefined
  return Boolean(url?.href && url.protocol && url.auth === undefined && url.path === undefined)
}
