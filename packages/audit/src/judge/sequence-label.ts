const FORM = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([1-9]\d{0,14})$/

/** What `kest.seq`, or `n` of a denial, says: `<process uuid>:<n>`. */
export interface SequenceNumber {
  readonly process: string
  readonly number: number
}

/** @returns `null` where it is none */
export function numberIn(label: string | undefined): SequenceNumber | null {
  const [, process, number] = FORM.exec(label ?? '') ?? []
  return process === undefined ? null : { process, number: Number(number) }
}
