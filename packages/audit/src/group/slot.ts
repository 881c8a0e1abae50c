import { randomInt } from 'node:crypto'

/** Strangers choose what is looked up: a seed of this process keeps them from choosing where it falls. */
const SEED = randomInt(2 ** 32)

/** @returns where in a table of any size, 32 bits */
export function slotOf(words: ArrayLike<number>): number {
  let mixed = SEED
  for (let n = 0; n < words.length; n++) {
    mixed = Math.imul(mixed ^ (words[n] as number), 0x85ebca6b)
    mixed ^= mixed >>> 13
    mixed = Math.imul(mixed, 0xc2b2ae35)
    mixed ^= mixed >>> 16
  }
  return mixed >>> 0
}
