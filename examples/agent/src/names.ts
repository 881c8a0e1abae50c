/** The workloads, each a process of its own. */
export const TRUST_DOMAIN = 'example.org'
export const WORKLOADS = ['agent', 'catalogue', 'orders', 'stock', 'worker'] as const
export type Workload = (typeof WORKLOADS)[number]

/** The queue, as both ends of it call it. */
export const JOBS = 'queue://example.org/deliveries'
