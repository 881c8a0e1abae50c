import type { Producer } from '@platformatic/kafka'

/** From version 4 on, brokers alone may ask it of each other (KIP-890): a client that does needs `ClusterAction`, which makes it a broker. */
const OF_BROKERS = 'AddPartitionsToTxn'
const LAST_OF_CLIENTS = 3

/** Where the client keeps what brokers say that they take; it asks in the newest version of that. */
const KEPT_AS = 'plt.kafka.base.apis'

/** Keeps a producer of transactions to the requests that clients may make. To be called before it writes. */
export async function asClients(producer: Pick<Producer, 'listApis'>): Promise<void> {
  const kept = Object.getOwnPropertySymbols(producer).find(({ description }) => description === KEPT_AS)
  if (kept === undefined) return
  const apis = (await producer.listApis()).map((api) =>
    api.name === OF_BROKERS ? { ...api, maxVersion: Math.min(api.maxVersion, LAST_OF_CLIENTS) } : api,
  )
  Object.assign(producer, { [kept]: apis })
}
