/** The services, in the order in which a request crosses them. */
export const CHAIN = ['hop1', 'hop2', 'hop3'] as const

export type Service = (typeof CHAIN)[number]

/** Whose members they are. */
export const TRUST_DOMAIN = 'example.org'

/**
 * The users that they run as where the operator is root: by these SPIRE tells them apart (`docker/spire/entries.json`), and
 * by these the embedded Workload API keeps them apart.
 */
export const USERS: Readonly<Record<Service, number>> = { hop1: 60001, hop2: 60002, hop3: 60003 }

/** What a request to hop1 answers. */
export const RESULT = {
  service: 'hop1',
  next: { service: 'hop2', next: { service: 'hop3', status: 'end_of_chain' } },
}

/** The principal that a service is. */
export function principalOf(service: string): string {
  return `spiffe://${TRUST_DOMAIN}/${service}`
}
