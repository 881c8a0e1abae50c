import { KestError, type KestErrorCode, PassportVerificationError } from '../errors.js'

/**
 * Says at which entry something failed. What is not one of our errors is the fault of whoever was asked (a key source
 * of the application's own, say), and gets `code`.
 */
export function atEntry(
  error: unknown,
  index: number | null,
  entryId: string | null,
  code: KestErrorCode,
): PassportVerificationError {
  const ours = error instanceof KestError
  const where = index === null ? 'entry' : `entry ${index}`
  const message = ours ? error.message : 'it could not be checked'
  const cause = ours ? error.cause : error
  return new PassportVerificationError(ours ? error.code : code, `${where}: ${message}`, {
    index,
    entryId,
    ...(cause === undefined ? {} : { cause }),
  })
}
