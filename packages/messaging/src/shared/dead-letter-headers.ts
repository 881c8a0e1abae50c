import type { DeadLetter } from './options.js'

/** What a dead letter has beside what the message had: the code, and where it was read. */
export function deadLetterHeaders({
  code,
  from,
}: Pick<DeadLetter<unknown>, 'code' | 'from'>): Record<string, string> {
  return { 'kest-error': code, 'kest-source': from }
}
