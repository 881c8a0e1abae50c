const LENGTH = 12

/** The beginning of a hash, enough to tell the entries of a passport apart; all of it is in `--json`. */
export function shortHash(hash: string): string {
  return hash.slice(0, LENGTH)
}
