import type { KeySource } from '@kest/core'
import { createDevAuthority } from '@kest/spiffe/dev'
import { startGateway } from './gateway.js'
import { startPrices } from './prices.js'
import { startRates } from './rates.js'
import { startStock } from './stock.js'
import { startWorkload, type Workload } from './workload.js'

/** The services, in the order in which a request crosses them. */
export const CHAIN = ['gateway', 'stock', 'prices', 'rates'] as const

export interface Chain {
  /** Where users ask. */
  readonly url: string
  /** What an auditor believes: the bundle of the trust domain. */
  readonly trust: KeySource
  close(): Promise<void>
}

/** Starts all of it in this process, each service with an SVID of its own. */
export async function startChain(): Promise<Chain> {
  const closing: (() => Promise<void>)[] = []
  const kept = <T extends { close(): Promise<void> }>(opened: T): T => {
    closing.unshift(() => opened.close())
    return opened
  }
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0)) await end()
  }
  try {
    const workloads = Object.fromEntries(CHAIN.map((name) => [name, {}]))
    const authority = kept(await createDevAuthority({ trustDomain: 'example.org', workloads }))
    const workload = async (name: (typeof CHAIN)[number]): Promise<Workload> =>
      kept(await startWorkload(authority.sockets[name] as string))
    const rates = kept(await startRates(await workload('rates')))
    const prices = kept(await startPrices(await workload('prices'), rates.url))
    const stock = kept(await startStock(await workload('stock'), prices.url))
    const first = await workload('gateway')
    const gateway = kept(await startGateway(first, stock.address))
    return { url: gateway.url, trust: first.trust, close }
  } catch (error) {
    await close()
    throw error
  }
}
