import { CHAIN, type Service } from '../chain.js'
import { programFile } from '../files.js'
import { Daemon } from '../supervisor/daemon.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { assertAnswers } from './ask.js'
import type { IdentitySettings } from './identities.js'

export interface ServicesOptions {
  /** Where each of them serves. */
  readonly urls: Readonly<Record<Service, string>>
  /** Where the one before reaches them. Default where they serve. */
  readonly nextUrls?: Readonly<Partial<Record<Service, string>>>
  /** Where their programs are. Default `services`. */
  readonly folder?: string
  /** Tells them from others. Default none. */
  readonly label?: string
  /** The Node that runs them. Default this one. */
  readonly node?: string
  /** Options of Node. Default none. */
  readonly nodeOptions?: readonly string[]
  /** What one of them is told about who it is. */
  readonly identityOf: (service: Service) => IdentitySettings
  /** What all of them are told. */
  readonly env: Readonly<Record<string, string>>
}

/** The three services, each a process of its own that knows where the next one is. */
export function createServices(
  supervisor: Supervisor,
  {
    urls,
    nextUrls = {},
    folder = 'services',
    label = '',
    node = process.execPath,
    nodeOptions = [],
    identityOf,
    env,
  }: ServicesOptions,
): Readonly<Record<Service, Daemon>> {
  const services = CHAIN.map((name, i) => {
    const next = CHAIN[i + 1]
    const identity = identityOf(name)
    const daemon = new Daemon(
      {
        name: `${name}${label}`,
        command: node,
        args: [...nodeOptions, programFile(`${folder}/${name}`)],
        user: identity.user,
        env: {
          ...env,
          ...identity.env,
          NODE_ENV: 'production',
          HOST: '127.0.0.1',
          PORT: new URL(urls[name]).port,
          ...(next === undefined ? {} : { NEXT_URL: nextUrls[next] ?? urls[next] }),
        },
        check: () => assertAnswers(`${urls[name]}/health`),
      },
      supervisor,
    )
    return [name, daemon] as const
  })
  return Object.fromEntries(services) as Record<Service, Daemon>
}
