/**
 * When what was written is forced to the disk: before a batch counts as exported; every second; or when the operating
 * system sees fit. All three outlive the process, whatever ends it. Only `always` outlives the machine.
 */
export type FsyncPolicy = 'always' | 'interval' | 'never'
