export const FRAMEWORKS = ['fastify', 'express'] as const
export const IDENTITIES = ['spire', 'local'] as const
export const ENGINES = ['opa', 'rego', 'cedar', 'function'] as const
export const EXPORTERS = ['otlp', 'file'] as const

/** What is written is made of this, and of nothing else. */
export interface Choices {
  readonly framework: (typeof FRAMEWORKS)[number]
  readonly identity: (typeof IDENTITIES)[number]
  readonly engine: (typeof ENGINES)[number]
  readonly exporter: (typeof EXPORTERS)[number]
  /** Of the service: letters, digits and dashes. */
  readonly name: string
  readonly trustDomain: string
  /** Users' requests begin here. */
  readonly edge: boolean
  /** How it is until when: recorded, not refused. `null`: it is enforced from the first request on. */
  readonly observe: { readonly expires: Date; readonly approver: string } | null
}

/** Its SPIFFE ID. */
export function workloadOf({ trustDomain, name }: Choices): string {
  return `spiffe://${trustDomain}/${name}`
}

/** As Rego's packages may be called. */
export function packageOf({ name }: Choices): string {
  return name.replaceAll('-', '_')
}

/** The policy of the one route that is protected. */
export function policyOf(choices: Choices): string {
  return `${packageOf(choices)}/read`
}
