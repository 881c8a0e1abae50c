import { randomInt } from 'node:crypto'

/** Strangers choose what is looked up: a seed of this process keeps them from choosing where it falls. */
const SEED = randomInt(2 ** 32)

/** @returns where in a table of any size, 32 bits */
export function slotOf(words: Iterable<number>): number {
  let mixed = SEED
  for (const word of words) {
    mixed = Math.imul(mixed ^ word, 0x85ebca6b)
    mixed ^= mixed >>> 13
    mixed = Math.imul(mixed, 0xc2b2ae35)
    mixed ^= mixed >>> 16
  }
  return mixed >>> 0
}
