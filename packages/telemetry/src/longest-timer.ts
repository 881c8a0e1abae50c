/** A longer delay overflows a timer, which then fires at once; milliseconds. */
export const LONGEST_TIMER_MS = 0x7fffffff
