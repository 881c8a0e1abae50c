/** A file without which the command cannot do its work is of no use: said on standard error, exit status 2. */
export class InputError extends Error {
  override readonly name = 'InputError'
}
