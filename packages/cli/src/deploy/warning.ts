/** Why somebody should look at a deployment file that can be read. */
export const WARNING_CODES = [
  'expired',
  'expires-soon',
  'unknown-policy',
  'unmatched',
  'unread-spans',
] as const
export type WarningCode = (typeof WARNING_CODES)[number]

/** One of them, and of what: a path in the file, `observe[0]`; or a file of spans. */
export interface Warning {
  readonly code: WarningCode
  readonly at: string
  readonly message: string
}
