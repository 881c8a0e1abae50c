import express5, { type Express } from 'express'
import express4 from 'express4'

/** Both majors behind the types of the newer; what only one of them has is asked for by `major`. */
export interface Major {
  readonly major: 4 | 5
  readonly express: typeof express5
}

export const MAJORS: readonly Major[] = [
  { major: 5, express: express5 },
  { major: 4, express: express4 },
]

export type { Express }
