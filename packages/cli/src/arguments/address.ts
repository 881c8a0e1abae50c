import { UsageError } from './usage-error.js'

/** Where to listen. */
export interface Address {
  readonly host: string
  readonly port: number
}

const LOOPBACK = '127.0.0.1'
const FORM = /^(?:(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([^\s:[\]]+)):)?(\d{1,5})$/

/**
 * The value of an option that says where to listen: `PORT`, `HOST:PORT` or `[IPv6]:PORT`. Without a host it is the
 * loopback's.
 *
 * @throws {UsageError} for anything else
 */
export function parseAddress(option: string, value: string): Address {
  const [, v6, name, digits] = FORM.exec(value) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535)
    throw new UsageError(`--${option}: expected PORT or HOST:PORT, such as 4318, got "${value}"`)
  return { host: v6 ?? name ?? LOOPBACK, port }
}
