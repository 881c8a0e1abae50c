import type { Watch } from '../supervisor/watch.js'

/** What a service answered. */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** @param item what the request is about; `null` for nothing in particular */
export async function ask(url: string, item: string | null, { signal }: Watch): Promise<Answer> {
  const target = new URL(url)
  if (item !== null) target.searchParams.set('item', item)
  const response = await fetch(target, { signal })
  return { status: response.status, body: await response.json() }
}

/** The code of a refusal, also where a service passes on that of another; `null` when it is none. */
export function codeOf(body: unknown): string | null {
  for (let at = body; typeof at === 'object' && at !== null; at = (at as { next?: unknown }).next) {
    const { code } = at as { code?: unknown }
    if (typeof code === 'string') return code
  }
  return null
}
