import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { RecordingLogger } from '@kest/core/testing'
import { createDevAuthority } from '@kest/spiffe/dev'

/** What the kernel says of whoever connects. */
export interface Peer {
  readonly uid: number
  /** Its command line. */
  readonly command: string
}

export interface AttestingAgent extends AsyncDisposable {
  /** As `SPIFFE_ENDPOINT_SOCKET` takes it. */
  readonly address: string
}

/**
 * A Workload API at one address for all, as SPIRE's agent is one: it looks at the process that connects to tell which
 * workload it is. Linux only, since it reads `/proc`. The API itself is that of the development authority.
 *
 * @param registered which workload a process is; `undefined` for none of them, and it is not answered
 */
export async function startAttestingAgent(
  workloads: readonly string[],
  registered: (peer: Peer) => string | undefined,
): Promise<AttestingAgent> {
  const authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: Object.fromEntries(workloads.map((name) => [name, {}])),
    logger: new RecordingLogger(),
  })
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    const peer = peerOf(socket)
    const name = peer === undefined ? undefined : registered(peer)
    const address = authority.sockets[name ?? '']
    if (address === undefined) {
      socket.destroy()
      return
    }
    const upstream = connect(address.replace('unix://', ''))
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => open.delete(one) && other.destroy())
      one.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of open) socket.destroy()
      await authority.close()
    },
  }
}

/**
 * proc(5): the line of `/proc/net/tcp` whose local port is the peer's has its user, and the inode of its socket. There is none
 * of a peer that was killed before anybody looked.
 */
function peerOf({ remotePort, localPort }: Socket): Peer | undefined {
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)
  const fields = lines
    .map((line) => line.trim().split(/\s+/))
    .find(([, local, remote]) => portOf(local) === remotePort && portOf(remote) === localPort)
  if (fields === undefined) return undefined
  const [, , , , , , , uid, , inode] = fields
  return { uid: Number(uid), command: commandOf(`socket:[${inode}]`) }
}

function portOf(address = ''): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16)
}

function commandOf(socket: string): string {
  const pid = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .find((process) => linksIn(`/proc/${process}/fd`).includes(socket))
  return pid === undefined ? '' : readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
}

/** Without those of other users, and what has gone in the meantime. */
function linksIn(folder: string): string[] {
  return orNone(() => readdirSync(folder)).flatMap((name) => orNone(() => [readlinkSync(join(folder, name))]))
}

function orNone(read: () => string[]): string[] {
  try {
    return read()
  } catch {
    return []
  }
}
