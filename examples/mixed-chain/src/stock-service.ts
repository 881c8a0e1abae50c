import { makeClientConstructor, type ServiceDefinition } from '@grpc/grpc-js'

const serialize = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const deserialize = (bytes: Buffer): unknown => JSON.parse(bytes.toString())

/** A service without a `.proto`: its messages are JSON. */
export const StockService = {
  get: {
    path: '/shop.Stock/Get',
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  },
} satisfies ServiceDefinition

export const StockClient = makeClientConstructor(StockService, 'Stock')
