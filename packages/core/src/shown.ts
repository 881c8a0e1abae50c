/** A message is read by people, and written for every request that is refused. */
const MAX_SHOWN = 200

/** A stranger's text in a message: quoted, and not longer than a line. */
export function shown(text: string, max = MAX_SHOWN): string {
  return JSON.stringify(text.length > max ? `${text.slice(0, max)}…` : text)
}
