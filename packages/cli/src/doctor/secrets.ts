import type { Settings } from './settings.js'

/** Variables that hold headers, with tokens in them. */
const HEADERS = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'] as const
const SCHEME = /^(?:Bearer|Basic) +/i

/** What no finding may show, whoever repeats it: the token for OPA, and what headers and URLs hold. */
export function secretsOf({ env, opa, otlp, front }: Settings): readonly string[] {
  const token = typeof opa?.token === 'string' ? [opa.token] : []
  const headers = HEADERS.flatMap((name) => (env[name] ?? '').split(','))
    .map((pair) => pair.slice(pair.indexOf('=') + 1).trim())
    .flatMap((value) => [value, decoded(value), decoded(value).replace(SCHEME, '')])
  const urls = [otlp, front, env['OTEL_EXPORTER_OTLP_ENDPOINT'], env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']]
  const inUrls = urls.flatMap((url) => {
    if (!url || !URL.canParse(`${url}`)) return []
    const { username, password, searchParams } = new URL(url)
    return [username, password, decoded(password), ...searchParams.values()]
  })
  return [...token, ...headers, ...inUrls].filter((secret) => secret !== '')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
