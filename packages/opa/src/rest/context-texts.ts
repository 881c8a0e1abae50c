/**
 * Writes objects as `JSON.stringify` would. Members that several have in common are written once: the questions of one
 * operation share all of their context but its environment.
 */
export function contextTexts(): (context: object) => string {
  const known = new Map<object, string>()
  const textOf = (value: unknown): string | undefined => {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value)
    let text = known.get(value)
    if (text === undefined) {
      text = JSON.stringify(value)
      known.set(value, text)
    }
    return text
  }
  return (context) => {
    const members: string[] = []
    for (const [name, value] of Object.entries(context)) {
      const text = textOf(value)
      if (text !== undefined) members.push(`${JSON.stringify(name)}:${text}`)
    }
    return `{${members.join(',')}}`
  }
}
