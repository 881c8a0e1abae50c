import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { chmod, cp, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CHAIN, type Service } from '../../src/chain.js'
import { configurationFile } from '../../src/files.js'
import type { Lab, LabOptions, RoutedName } from '../../src/lab.js'
import { FaultProxy } from './fault-proxy.js'
import { copiedPolicies, startLab, temporaryFolder } from './lab.js'
import { SteadyLoad } from './steady-load.js'

/** What a fault is made of. */
export interface Scene {
  readonly lab: Lab
  readonly load: SteadyLoad
  /** On the way to each. */
  readonly proxies: Readonly<Record<RoutedName, FaultProxy>>
  /** The folder of OPA's policies, a copy. */
  readonly policies: string
  /** The deployment file, a copy. */
  readonly deployment: string
  /** Life of SVIDs. */
  readonly ttlSeconds: number
  /** Does to the process of a service what cannot be done from outside. */
  probe(service: Service, what: { readonly clockMs?: number; readonly blockMs?: number }): Promise<void>
}

/** A lab with proxies on every way, probes in every service, and a load that begins. */
export async function setScene(options: Partial<LabOptions> = {}): Promise<Scene> {
  const policies = await copiedPolicies()
  const files = await temporaryFolder()
  // The services run as users of their own where the operator is root.
  await chmod(files, 0o711)
  const deployment = join(files, 'deployment.yaml')
  await cp(configurationFile('kest/deployment.yaml'), deployment)
  const proxies = {
    hop2: await FaultProxy.start(),
    hop3: await FaultProxy.start(),
    opa: await FaultProxy.start(),
    collector: await FaultProxy.start(),
  }
  const probe = new URL('./fault-probe.mjs', import.meta.url)
  probe.searchParams.set('folder', files)
  const lab = await startLab({
    policies,
    deployment,
    // What they usually wait is what a fault is seen by.
    patience: 1,
    nodeOptions: ['--import', probe.href],
    route: (to, url) => proxies[to].leadTo(url),
    ...options,
  })
  return {
    lab,
    proxies,
    policies,
    deployment,
    ttlSeconds: options.ttlSeconds ?? 3600,
    load: new SteadyLoad({ url: lab.urls.hop1, watch: lab.watch }),
    async probe(service, what) {
      await writeFile(join(files, `${service}.json`), JSON.stringify(what))
      signal(lab.services[service].pid, 'SIGUSR2')
    },
  }
}

export function signal(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) throw new Error('it does not run')
  process.kill(pid, name)
}

const LIMITS = { fsize: 'Max file size', nofile: 'Max open files' } as const

/**
 * Sets the soft limit of a process that runs, by its own user, who may lower it, and raise it again: what is returned does.
 */
export async function limit(
  pid: number | undefined,
  what: keyof typeof LIMITS,
  most: number,
): Promise<() => Promise<void>> {
  const { uid, gid } = await stat(`/proc/${pid}`)
  const before = new RegExp(`^${LIMITS[what]} +(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))
  const set = async (soft: string): Promise<void> => {
    await promisify(execFile)('prlimit', ['--pid', String(pid), `--${what}=${soft}:`], { uid, gid })
  }
  await set(String(most))
  return () => set(before?.[1] ?? 'unlimited')
}

/** What a file held comes back with what is returned. At once: nobody sees half of it. */
export async function rewrite(file: string, change: (text: string) => string): Promise<() => Promise<void>> {
  const before = readFileSync(file, 'utf8')
  const replace = async (text: string): Promise<void> => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  await replace(change(before))
  return () => replace(before)
}

/** Which handlers ran: `hop2 steady-17`. */
export function executionsIn(lab: Lab): readonly string[] {
  return CHAIN.flatMap((service) =>
    [...readFileSync(lab.logOf(service), 'utf8').matchAll(/^probe: (\{"executed".*\})$/gm)].map(
      ([, line]) => `${service} ${JSON.parse(line as string).executed}`,
    ),
  )
}
