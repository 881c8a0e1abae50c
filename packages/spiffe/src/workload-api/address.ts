import { isIP } from 'node:net'
import { SpiffeError } from '../errors.js'
import { quoted } from '../id/syntax.js'

/** Where the address stands when nobody gives one (SPIFFE Workload Endpoint §4). */
export const ENDPOINT_VARIABLE = 'SPIFFE_ENDPOINT_SOCKET'

const UNIX = /^unix:(?:\/\/(?=\/))?(\/[^/?#].*)$/
const TCP = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/
/** Bytes of a Unix socket's path that every platform takes. */
const MAX_PATH_BYTES = 103

/**
 * Reads the address of a Workload API: `unix:///run/spire/agent.sock` (or `unix:/run/…`), an absolute path; or
 * `tcp://127.0.0.1:8081`, an IP address with its port. No host names, no user, path behind a port, query or fragment
 * (SPIFFE Workload Endpoint §4).
 *
 * @param address default: that in the environment variable `SPIFFE_ENDPOINT_SOCKET`
 * @returns the target as gRPC spells it
 * @throws {SpiffeError} `ERR_SPIFFE_ADDRESS`
 */
export function parseWorkloadApiAddress(
  address: string | undefined = process.env[ENDPOINT_VARIABLE],
): string {
  if (address === undefined || address === '') {
    throw new SpiffeError(
      'ERR_SPIFFE_ADDRESS',
      `no address of the Workload API: set ${ENDPOINT_VARIABLE}, or give the option "address"`,
    )
  }
  if (typeof address !== 'string') throw wrong('expected text', String(address))
  if (address.startsWith('unix:')) return unixTarget(address)
  if (address.startsWith('tcp:')) return tcpTarget(address)
  throw wrong('expected unix:///absolute/path or tcp://ip:port', address)
}

function unixTarget(address: string): string {
  const path = decoded(UNIX.exec(address)?.[1] ?? '')
  if (path === '' || /[?#]/.test(address)) {
    throw wrong('expected unix: with an absolute path, without host, query or fragment', address)
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (/[\u0000-\u001f\u007f]/.test(path)) throw wrong('there is a control character in its path', address)
  if (Buffer.byteLength(path) > MAX_PATH_BYTES)
    throw wrong(`its path is longer than the ${MAX_PATH_BYTES} bytes that a socket's may have`, address)
  return `unix:${path}`
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return ''
  }
}

function tcpTarget(address: string): string {
  const [, v6, v4, digits] = TCP.exec(address) ?? []
  const port = Number(digits)
  if (v4 !== undefined && isIP(v4) === 4 && isPort(port)) return `ipv4:${v4}:${port}`
  if (v6 !== undefined && isIP(v6) === 6 && isPort(port)) return `ipv6:[${v6}]:${port}`
  throw wrong('expected tcp:// with an IP address and a port, and nothing else', address)
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535
}

function wrong(why: string, address: string): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_ADDRESS', `address of the Workload API ${quoted(address)}: ${why}`)
}
