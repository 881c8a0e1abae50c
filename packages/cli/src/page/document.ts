import { hash } from 'node:crypto'

/** What of a page may run, and what may style it: the digest of each. */
export interface PageSources {
  readonly scripts: readonly string[]
  readonly styles: readonly string[]
}

/** As a policy names a script or a style. */
export function digestOf(text: string): string {
  return `sha256-${hash('sha256', text, 'base64')}`
}

/** The head of a page that needs nothing else: beside its sources nothing runs, nothing may be fetched, and no text becomes markup. */
export function headElement(
  { scripts, styles }: PageSources,
  { title, style }: { readonly title: string; readonly style: string },
): string {
  const policy = [
    "default-src 'none'",
    `script-src ${scripts.map(quoted).join(' ')}`,
    `style-src ${styles.map(quoted).join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ')
  return `<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${style}</style>
</head>`
}

function quoted(digest: string): string {
  return `'${digest}'`
}
