import type { JsonWebKey } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The services, in the order in which a request crosses them. */
export const CHAIN = ['hop1', 'hop2', 'hop3'] as const

export type Service = (typeof CHAIN)[number]

/** Whose members they are. */
export const TRUST_DOMAIN = 'example.org'

/** What the operator decides for all of them: who may begin lineage. The auditor takes the same list. */
export const DEPLOYMENT_FILE = fileURLToPath(new URL('../kest.yaml', import.meta.url))

/** Principal → its public keys. */
export type KeyList = Readonly<Record<string, readonly JsonWebKey[]>>

/** The principal that a service is. */
export function principalOf(service: string): string {
  return `spiffe://${TRUST_DOMAIN}/${service}`
}

export function isService(name: unknown): name is Service {
  return (CHAIN as readonly unknown[]).includes(name)
}

/** The folder that a service exports its spans to. */
export function spansFolderOf(folder: string, service: string): string {
  return join(folder, `${service}.spans`)
}
