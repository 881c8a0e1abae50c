import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What the kernel lets a process do, whatever the engine was told. */
export interface Confinement {
  /** Real, effective, saved, and of the file system. */
  readonly users: readonly string[]
  readonly groups: readonly string[]
  /** Of every set, in hexadecimal. */
  readonly capabilities: readonly string[]
  readonly noNewPrivileges: boolean
  /** Whether system calls are filtered. */
  readonly isFiltered: boolean
  /** Where it can write, beside what every container has in /dev and /proc. */
  readonly writable: readonly string[]
  readonly mostProcesses: string
  /** Whether it has a way to what is on none of its networks. */
  readonly hasWayOut: boolean
}

const SETS = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']
/** What engines mount for names, and what is a kernel's own. */
const OF_THE_ENGINE =
  /^\/(dev|proc|sys)(\/|$)|^\/etc\/(hosts|hostname|resolv\.conf)$|^\/run\/(\.containerenv|secrets)$/

export function confinementOf(pid: number): Confinement {
  const proc = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8')
  const status = proc('status')
  const member = (name: string): string => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? ''
  const mounts = words(proc('mountinfo'), ' ')
  const routes = words(proc('net/route'), '\t')
  return {
    users: member('Uid').split('\t'),
    groups: member('Gid').split('\t'),
    capabilities: SETS.map(member),
    noNewPrivileges: member('NoNewPrivs') === '1',
    isFiltered: member('Seccomp') === '2',
    writable: mounts
      .filter(
        ([, , , , at = '', options = '']) =>
          at !== '' && !OF_THE_ENGINE.test(at) && !options.startsWith('ro'),
      )
      .map(([, , , , at = '']) => at)
      .sort(),
    mostProcesses: mostProcesses(proc('cgroup')),
    hasWayOut: routes.some(([, destination]) => destination === '00000000'),
  }
}

/** By cgroups of either version. */
function mostProcesses(cgroup: string): string {
  const [, path] = /^\d+:(?:[^:]*,)?pids(?:,[^:]*)?:(.*)$/m.exec(cgroup) ?? []
  const [, unified = '/'] = /^0::(.*)$/m.exec(cgroup) ?? []
  const folder = path === undefined ? join('/sys/fs/cgroup', unified) : join('/sys/fs/cgroup/pids', path)
  return readFileSync(join(folder, 'pids.max'), 'utf8').trim()
}

function words(text: string, between: string): readonly (readonly string[])[] {
  return text.split('\n').map((line) => line.split(between))
}

/** Where TCP connections can be made to from where a process is, of `address:port`. */
export async function reachedFrom(pid: number, targets: readonly string[]): Promise<readonly string[]> {
  const code = `for (const target of process.argv.slice(1)) {
    const [host, port] = target.split(':')
    const socket = require('node:net').connect(Number(port), host)
    socket.setTimeout(5000, () => socket.destroy())
    socket.on('error', () => {}).on('connect', () => { console.log(target); socket.destroy() })
  }`
  const { stdout } = await run('nsenter', [
    `--net=/proc/${pid}/ns/net`,
    process.execPath,
    '-e',
    code,
    ...targets,
  ])
  return stdout.split('\n').filter((line) => line !== '')
}

/** Whether HTTP is answered where a process is, to somebody who shows nothing and believes everybody. */
export async function isAnswered(pid: number, url: string): Promise<boolean> {
  const code = `process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    require(new URL(process.argv[1]).protocol === 'https:' ? 'node:https' : 'node:http')
      .get(process.argv[1], () => { console.log('answered'); process.exit() })
      .on('error', () => console.log('refused'))`
  const args = [`--net=/proc/${pid}/ns/net`, process.execPath, '--no-warnings', '-e', code, url]
  return (await run('nsenter', args)).stdout.trim() === 'answered'
}
