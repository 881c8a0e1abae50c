/** Whether two maps hold the same bundles. */
export function sameBundles<B extends { equals(other: B): boolean }>(
  before: ReadonlyMap<string, B> | undefined,
  after: ReadonlyMap<string, B> | undefined,
): boolean {
  if (before === undefined || after === undefined) return before === after
  return (
    before.size === after.size &&
    [...after].every(([name, bundle]) => {
      const other = before.get(name)
      return other !== undefined && bundle.equals(other)
    })
  )
}
