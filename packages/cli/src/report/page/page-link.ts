import { isolated } from './text.js'

/** To the page of a trace that the report has. */
export function pageLink(page: string, text: string): string {
  return `<a href="#${page}">${text}</a>`
}

/** A trace by its id, which is a link where the report has its page. */
export function traceText(traceId: string | null | undefined, page: string | null): string {
  if (traceId === undefined) return ''
  const text = `trace ${traceId === null ? 'without an id' : isolated(traceId, 64)}`
  return page === null ? `<span class="dim">${text}</span>` : pageLink(page, text)
}
