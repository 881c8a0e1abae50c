/** A user and password, and a query, of a URL. */
const USER = /(?<=\/\/)[^/?#\s]*@/g
const QUERY = /(?<=[a-z][a-z\d+.-]*:\/\/[^\s?]*)\?[^\s"]*/gi

/**
 * Takes out of a text what could be a secret: the ones that are known, whoever repeats them, and what URLs have besides a place.
 *
 * @param secrets values of tokens and headers
 */
export function redacted(text: string, secrets: readonly string[]): string {
  const known = secrets
    .filter((secret) => secret.length > 3)
    .sort((one, other) => other.length - one.length)
    .reduce((at, secret) => at.replaceAll(secret, '…'), text)
  return known.replace(USER, '…@').replace(QUERY, '?…')
}
