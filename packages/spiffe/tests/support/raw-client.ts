import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js'
import { onTestFinished } from 'vitest'

const HEADER = { 'workload.spiffe.io': 'true' }

/** grpc-js alone: no behaviour of our own client lies between a test and the server. */
export function rawClient(address: string): {
  stream<Q, R>(method: MethodDefinition<Q, R>, request: Q, headers?: Record<string, string>): Stream<R>
  unary<Q, R>(method: MethodDefinition<Q, R>, request: Q, headers?: Record<string, string>): Promise<R>
} {
  const client = new Client(address.replace('unix://', 'unix:'), credentials.createInsecure())
  onTestFinished(() => client.close())
  return {
    stream: ({ path, requestSerialize, responseDeserialize }, request, headers = HEADER) =>
      new Stream(
        client.makeServerStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          metadataOf(headers),
        ),
      ),
    unary: ({ path, requestSerialize, responseDeserialize }, request, headers = HEADER) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          metadataOf(headers),
          (error, value) => (error === null && value !== undefined ? resolve(value) : reject(error)),
        )
      }),
  }
}

/** Messages of a stream, one at a time; how it ended. */
export class Stream<R> {
  readonly call: ClientReadableStream<R>
  readonly #messages: AsyncIterator<R>

  constructor(call: ClientReadableStream<R>) {
    this.call = call
    this.#messages = call[Symbol.asyncIterator]() as AsyncIterator<R>
    onTestFinished(() => call.cancel())
  }

  async next(): Promise<R> {
    const { value, done } = await this.#messages.next()
    if (done === true) throw new Error('the stream has ended')
    return value as R
  }

  /** With what it breaks off; messages before that are passed over. */
  async ended(): Promise<ServiceError> {
    try {
      for (;;) await this.next()
    } catch (error) {
      return error as ServiceError
    }
  }
}

function metadataOf(headers: Record<string, string>): Metadata {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  return metadata
}
