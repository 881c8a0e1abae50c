/** Edits up to which a word is taken for a misspelling of another. */
const FAR = 3

/** `; did you mean …?` with the choice that is nearest to what was written, or nothing when none is near. */
export function suggestion(written: string, choices: readonly string[]): string {
  let nearest: { readonly choice: string; readonly edits: number } | undefined
  for (const choice of choices) {
    const edits = distance(written, choice)
    if (edits < (nearest?.edits ?? Math.min(FAR, choice.length))) nearest = { choice, edits }
  }
  return nearest === undefined ? '' : `; did you mean ${nearest.choice}?`
}

/** Levenshtein's; of words longer than any choice nothing needs to be known but that they are far. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) >= FAR) return FAR
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[b.length] ?? FAR
}
