import { KestConfigError } from '@kest/core'
import { joinPatterns, patternText } from './operation-name.js'

/** Where wrapped routers and applications are. */
const places = new WeakMap<object, Place>()

/** The place of a router or application; `undefined` when it is not wrapped. */
export function placeOf(router: object): Place | undefined {
  return places.get(router)
}

/** Where a router is mounted, in patterns: as it was told, or as it was mounted on others that are wrapped. */
export class Place {
  readonly #given: string | undefined
  readonly #mounts: { readonly parent: Place; readonly path: unknown }[] = []

  /** @param routers an application, and its router */
  constructor(given: string | undefined, routers: readonly object[]) {
    this.#given = given
    for (const router of routers) places.set(router, this)
  }

  mountedAt(parent: Place, path: unknown): void {
    if (parent.#isWithin(this)) throw new KestConfigError('wrapRouter: a router cannot be mounted on itself')
    this.#mounts.push({ parent, path })
  }

  /** Several places stand in brackets, as several paths of one route do; the empty text is the root. */
  pattern(): string {
    if (this.#given !== undefined) return this.#given
    const patterns = new Set(this.#mounts.map(({ parent, path }) => joinPatterns(parent.pattern(), path)))
    const [only, ...others] = patterns
    const text = others.length > 0 ? patternText([...patterns]) : patternText(only)
    return text === '/' ? '' : text
  }

  #isWithin(other: Place): boolean {
    return this === other || this.#mounts.some(({ parent }) => parent.#isWithin(other))
  }
}
