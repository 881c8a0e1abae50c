import { KestConfigError } from '../errors.js'

const TIME =
  /^(\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/
/** What is said here is signed, and no JSON text has one. */
const LONE_SURROGATE = /\p{Surrogate}/u

/** Typed access to a document that an operator wrote; every complaint names file and path. */
export class DocumentReader {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  /** @throws {KestConfigError} always; a path of '' is the document itself */
  fail(path: string, reason: string): never {
    throw new KestConfigError(`${this.#file}: ${path === '' ? 'document' : path}: ${reason}`)
  }

  /** An object that has none but these keys. */
  object(value: unknown, path: string, keys: readonly string[]): Readonly<Record<string, unknown>> {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      this.fail(path, 'expected an object')
    for (const key of Object.keys(value)) {
      if (!keys.includes(key)) this.fail(path, `unknown key "${key}"; known: ${keys.join(', ')}`)
    }
    return value as Record<string, unknown>
  }

  array(value: unknown, path: string): readonly unknown[] {
    if (!Array.isArray(value)) this.fail(path, 'expected a list')
    return value
  }

  string(value: unknown, path: string): string {
    if (typeof value !== 'string' || value === '') this.fail(path, 'expected a non-empty string')
    if (LONE_SURROGATE.test(value)) this.fail(path, 'holds a lone surrogate, which cannot be signed')
    return value
  }

  oneOf<T extends string>(value: unknown, path: string, allowed: readonly T[]): T {
    const text = this.string(value, path)
    return allowed.find((one) => one === text) ?? this.fail(path, `expected one of ${allowed.join(', ')}`)
  }

  /** An operation, and optionally the only workload. Frozen. */
  scope(value: unknown, path: string): { readonly operation: string; readonly workload?: string } {
    if (typeof value === 'string') return Object.freeze({ operation: this.string(value, path) })
    const scope = this.object(value, path, ['operation', 'workload'])
    const operation = this.string(scope['operation'], `${path}.operation`)
    if (!Object.hasOwn(scope, 'workload')) return Object.freeze({ operation })
    return Object.freeze({ operation, workload: this.string(scope['workload'], `${path}.workload`) })
  }

  /** Frozen. */
  names(value: unknown, path: string): readonly string[] {
    const names = this.array(value, path).map((name, index) => this.string(name, `${path}[${index}]`))
    if (new Set(names).size !== names.length) this.fail(path, 'a policy is listed twice')
    return Object.freeze(names)
  }

  /** RFC 3339 with a zone, as milliseconds; a local time would mean another moment on another machine. */
  time(value: unknown, path: string): number {
    const text = this.string(value, path)
    const date = TIME.exec(text)?.[1]
    if (date === undefined)
      this.fail(path, 'expected an RFC 3339 time with a zone, such as 2030-01-31T00:00:00Z')
    if (!new Date(`${date}T00:00:00Z`).toISOString().startsWith(date))
      this.fail(path, `there is no ${date} in the calendar`)
    return Date.parse(text)
  }
}
