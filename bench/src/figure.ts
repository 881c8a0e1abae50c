/** Work that is repeated; asynchronous when it answers a promise. */
export type Work = () => unknown

/** What a figure belongs to, in the order of the table. */
export type Group =
  | 'sign'
  | 'policy'
  | 'hook'
  | 'verify'
  | 'propagate'
  | 'ingress'
  | 'hop'
  | 'refusal'
  | 'memory'

interface Described {
  readonly group: Group
  readonly name: string
  /** What the subject is compared with, in words. */
  readonly floor: string
  /** The ratio that is aimed at; left out where the figure only informs. */
  readonly target?: number
}

/** How long the subject takes, beside the cryptography that it cannot do without. */
export interface TimeFigure extends Described {
  readonly unit: 'µs'
  /** Whether what both take without is subtracted: the ratio is that of what is added. */
  readonly added?: true
  /** Made anew for each run, so that figures share no state. */
  prepare(): Promise<{
    readonly floor: Work
    readonly subject: Work
    /** With `added`: the same as either, without what it adds. */
    readonly without?: { readonly floor: Work; readonly subject: Work }
    /** Takes back what it has changed for the whole process, such as a patch. Called once. */
    readonly end?: () => void
  }>
}

/** How much memory something takes that is kept, beside the bytes it came in. */
export interface MemoryFigure extends Described {
  readonly unit: 'bytes'
  prepare(): Promise<{
    readonly floorBytes: number
    /** Makes one; the measurement keeps it. */
    readonly make: () => Promise<object>
  }>
}

/** Whether what is done often leaves something in memory, all in all: a ratio of 1 is nothing. */
export interface GrowthFigure extends Described {
  readonly unit: 'bytes'
  readonly times: number
  prepare(): Promise<{
    /** @param n counts up from 0, so that no two are the same */
    readonly work: (n: number) => Promise<void>
  }>
}

/** One line of the table. */
export type Figure = TimeFigure | MemoryFigure | GrowthFigure
