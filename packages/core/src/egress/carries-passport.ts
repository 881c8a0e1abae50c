/** Whether a `baggage` header that Kest has written carries a passport: what is of Kest comes first in it. */
export function carriesPassport(baggage: string | undefined): boolean {
  return baggage?.startsWith('kest.') === true
}
