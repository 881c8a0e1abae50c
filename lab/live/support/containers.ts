import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { configurationFile } from '../../src/files.js'

const run = promisify(execFile)
const ROOT = configurationFile('..')
const PATIENCE_MS = 1_200_000

/** Whether `docker` is that of `scripts/containers.sh`, and whoever runs this may look at its processes. */
export const CAN_RUN =
  process.getuid?.() === 0 && /^podman/.test(spawnSync('docker', ['--version'], { encoding: 'utf8' }).stdout)

export interface Block {
  readonly language: string
  readonly text: string
}

/** The blocks of docker/README.md, in its order. */
export async function manual(): Promise<readonly Block[]> {
  const text = await readFile(configurationFile('README.md'), 'utf8')
  return [...text.matchAll(/^```(\w+)\n(.*?)\n```$/gms)].map(([, language = '', block = '']) => ({
    language,
    text: block,
  }))
}

/** What a clone has, so that its files may be changed; with what `npm run setup` leaves of programs. */
export async function cloneTo(folder: string): Promise<void> {
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { stdout } = await run('git', list, { cwd: ROOT, maxBuffer: 1 << 26 })
  for (const name of stdout.split('\0').filter((part) => part !== '')) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await cp(join(ROOT, name), join(folder, name))
  }
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
}

/**
 * Alone on this machine, until it is let go, or whoever holds it ends: the kernel has one place for the networks of all engines,
 * and these have the same names.
 */
export async function holdMachine(): Promise<() => void> {
  const holder = spawn('flock', [join(tmpdir(), 'kest-containers.lock'), 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  return () => void holder.stdin.end()
}

/** What the engine says of a container. */
export interface Inspected {
  readonly Name: string
  readonly Image: string
  readonly State: { readonly Pid: number }
  readonly HostConfig: {
    readonly Privileged: boolean
    readonly PortBindings: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[]>> | null
  }
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> | null
  }
}

/** The containers of a clone. */
export class Containers {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  /** What commands print, as a reader at the top of the repository runs them. @throws where one fails */
  async shell(commands: string): Promise<string> {
    const args = ['-euo', 'pipefail', '-c', commands]
    const { stdout } = await run('bash', args, { cwd: this.folder, timeout: PATIENCE_MS, maxBuffer: 1 << 26 })
    return stdout
  }

  async compose(words: string): Promise<string> {
    return await this.shell(`docker compose -f docker/compose.yaml ${words}`)
  }

  async docker(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('docker', args, { timeout: PATIENCE_MS, maxBuffer: 1 << 26 })
    return stdout.trim()
  }

  /** Those of the compose file that are there, whether they run or have ended. */
  async all(): Promise<readonly string[]> {
    const ofOurs = ['--filter', 'label=com.docker.compose.project=kest']
    return lines(await this.docker('ps', '--all', '--quiet', ...ofOurs))
  }

  async inspect(service: string): Promise<Inspected> {
    return JSON.parse(await this.docker('inspect', container(service)))[0] as Inspected
  }

  /** By itself, as a crash would be: nothing starts it again but `start`. */
  async kill(service: string): Promise<void> {
    await this.docker('kill', '--signal', 'KILL', container(service))
  }

  async start(service: string): Promise<void> {
    await this.docker('start', container(service))
  }
}

export function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}

export function container(service: string): string {
  return `kest_${service}_1`
}
