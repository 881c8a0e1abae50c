/**
 * One question for the documents of several policies, for OPA's Query API: `p0 = data["orders"]["read"]; p1 = …`. It has an
 * answer only if each of them has a value; otherwise one is undefined, which denies.
 */
export function queryOf(paths: readonly string[]): string {
  return paths.map((path, index) => `${variable(index)} = ${reference(path)}`).join('; ')
}

/** The documents, in the order of the paths; `null` when one of them is undefined; `undefined` for what is no answer. */
export function documentsOf(result: unknown, count: number): readonly unknown[] | null | undefined {
  if (result === undefined) return null
  if (!Array.isArray(result)) return undefined
  if (result.length === 0) return null
  const [bindings] = result as readonly unknown[]
  if (result.length > 1 || typeof bindings !== 'object' || bindings === null) return undefined
  const documents = Array.from({ length: count }, (_, index) => variable(index))
  if (!documents.every((name) => Object.hasOwn(bindings, name))) return undefined
  return documents.map((name) => (bindings as Readonly<Record<string, unknown>>)[name])
}

function variable(index: number): string {
  return `p${index}`
}

/** A path as Rego has it. JSON strings are strings of Rego, whatever is in them. */
export function reference(path: string): string {
  return `data${path
    .split('/')
    .map((member) => `[${JSON.stringify(member)}]`)
    .join('')}`
}
