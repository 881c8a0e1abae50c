import { join } from 'node:path'
import { CHAIN, type Service } from '../chain.js'
import { configurationFile } from '../files.js'
import { createCollector } from '../servers/collector.js'
import type { Identities } from '../servers/identities.js'
import { createOpa } from '../servers/opa.js'
import { createServices } from '../servers/services.js'
import type { Daemon } from '../supervisor/daemon.js'
import type { Ports } from '../supervisor/ports.js'
import type { Supervisor } from '../supervisor/supervisor.js'

/** How much of Kest a chain has. */
export interface Variant {
  readonly name: string
  readonly folder: 'services' | 'numbers/bare' | 'numbers/floor'
  readonly opa: boolean
  /** Whether OPA has a plan for each operation. */
  readonly plans?: true
  readonly exports: boolean
}

export const BARE: Variant = {
  name: 'bare: the same services without Kest',
  folder: 'numbers/bare',
  opa: false,
  exports: false,
}
/** The same bytes and the same cryptography by plain APIs of Node: no lineage that is signed costs less. */
export const FLOOR: Variant = { name: 'floor', folder: 'numbers/floor', opa: false, exports: false }
export const FLOOR_OPA: Variant = {
  name: 'floor + OPA: one bare POST at each hop',
  folder: 'numbers/floor',
  opa: true,
  exports: false,
}
export const IN_PROCESS: Variant = {
  name: 'Kest, policies in process',
  folder: 'services',
  opa: false,
  exports: false,
}
export const OPA_EXPORT: Variant = { name: 'Kest, OPA, export', folder: 'services', opa: true, exports: true }

/** What is measured, beside each other in the same minutes. */
export const VARIANTS: readonly Variant[] = [
  BARE,
  FLOOR,
  FLOOR_OPA,
  IN_PROCESS,
  { name: 'Kest, OPA', folder: 'services', opa: true, exports: false },
  { name: 'Kest, OPA, plans', folder: 'services', opa: true, plans: true, exports: false },
  { name: 'Kest, policies in process, export', folder: 'services', opa: false, exports: true },
  OPA_EXPORT,
]

/** What a variant is beside: the floor that asks as it does. */
export function floorOf({ opa }: Variant): Variant {
  return opa ? FLOOR_OPA : FLOOR
}

/** A chain of one variant, running. */
export interface RunningVariant {
  readonly variant: Variant
  readonly url: string
  /** The services, and what they use. */
  readonly daemons: readonly Daemon[]
}

export interface VariantContext {
  readonly supervisor: Supervisor
  readonly ports: Ports
  readonly identities: Identities
  readonly programs: Readonly<Record<'opa' | 'otelcol', string>>
  /** Short-lived, and reached by the services' users: sockets are there. */
  readonly folder: string
  /** What joins the policies of an operation, beside them. */
  readonly plans: string
  /** The compiled policies. */
  readonly regoWasm: string
  readonly spansFile: string
  /** The Node that runs the services. */
  readonly node: string
  /** Its options. */
  readonly nodeOptions: readonly string[]
}

/** The services first: they export to the servers what is left. */
export async function stopVariant({ daemons }: RunningVariant): Promise<void> {
  for (const daemon of daemons) await daemon.stop()
}

/** @param label tells its programs from those of other variants */
export async function startVariant(
  variant: Variant,
  label: string,
  context: VariantContext,
): Promise<RunningVariant> {
  const { supervisor, ports, identities, programs, regoWasm, folder, spansFile, node, nodeOptions } = context
  const url = (): string => `http://127.0.0.1:${ports.take()}`
  const urls = Object.fromEntries(CHAIN.map((name) => [name, url()])) as Record<Service, string>
  const collectorUrl = url()
  const policies = [configurationFile('opa'), ...(variant.plans ? [context.plans] : [])]
  // Each service has an OPA of its own beside it, on a socket where there are any.
  const opaUrlOf = (name: Service): string =>
    process.platform === 'win32' ? url() : `unix://${join(folder, `${name}${label}.sock`)}`
  const opaUrls = new Map(variant.opa ? CHAIN.map((name) => [name, opaUrlOf(name)]) : [])
  const servers = [
    ...[...opaUrls].map(([name, own]) =>
      createOpa(supervisor, { program: programs.opa, url: own, policies, label: `-${name}${label}` }),
    ),
    ...(variant.exports
      ? [createCollector(supervisor, { program: programs.otelcol, url: collectorUrl, spansFile, label })]
      : []),
  ]
  await Promise.all(servers.map((server) => server.start()))
  const services = createServices(supervisor, {
    urls,
    label,
    folder: variant.folder,
    node,
    nodeOptions,
    identityOf: (name) => {
      const { env, user } = variant === BARE ? { env: {}, user: undefined } : identities.settingsOf(name)
      const opa = opaUrls.get(name)
      return { env: { ...env, ...(opa === undefined ? { REGO_WASM: regoWasm } : { OPA_URL: opa }) }, user }
    },
    env: {
      ...(variant.plans ? { OPA_PLANS: 'true' } : {}),
      ...(variant.exports ? { OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl } : { OTEL_TRACES_EXPORTER: 'none' }),
      KEST_CONFIG: configurationFile('kest/deployment.yaml'),
    },
  })
  await Promise.all(Object.values(services).map((service) => service.start()))
  return { variant, url: urls.hop1, daemons: [...Object.values(services), ...servers] }
}
