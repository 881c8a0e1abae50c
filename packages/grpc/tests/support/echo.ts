import {
  type CallOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  Metadata,
  type MethodDefinition,
  makeClientConstructor,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'

/** The four forms of a call. */
export const FORMS = ['unary', 'clientStream', 'serverStream', 'bidi'] as const
export type Form = (typeof FORMS)[number]

/** A service without a `.proto`: its messages are JSON. */
export const Echo = {
  unary: method('Unary', false, false),
  clientStream: method('ClientStream', true, false),
  serverStream: method('ServerStream', false, true),
  bidi: method('Bidi', true, true),
} satisfies ServiceDefinition

function method(
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<unknown, unknown> {
  return definition(`/kest.test.Echo/${name}`, requestStream, responseStream)
}

export function definition(
  path: string,
  requestStream = false,
  responseStream = false,
): MethodDefinition<unknown, unknown> {
  const serialize = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
  const deserialize = (bytes: Buffer): unknown => JSON.parse(bytes.toString())
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  }
}

/** What handlers of all forms are given. */
export type EchoCall = { readonly metadata: Metadata; on(event: string, listener: () => void): unknown }

/** Answers each message. It is asked in the handler for the first, and for those of a stream where they arrive. */
export type Handle = (message: unknown, call: EchoCall) => unknown

/** All four forms of a service, by one function for each message. */
export function implementation(handle: Handle): UntypedServiceImplementation {
  return {
    unary: (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) =>
      answered(async () => handle(call.request, call)).then(
        (answer) => callback(null, answer),
        (error: Error) => callback(error as never),
      ),
    clientStream: (call: ServerReadableStream<unknown, unknown>, callback: sendUnaryData<unknown>) => {
      const answers: Promise<unknown>[] = []
      call.on('data', (message) => answers.push(answered(async () => handle(message, call))))
      call.on('end', () =>
        Promise.all(answers).then(
          (all) => callback(null, all),
          (error: Error) => callback(error as never),
        ),
      )
    },
    serverStream: (call: ServerWritableStream<unknown, unknown>) => {
      answered(async () => handle(call.request, call)).then(
        (answer) => {
          call.write(answer)
          call.write(answer)
          call.end()
        },
        (error) => call.emit('error', error),
      )
    },
    bidi: (call: ServerDuplexStream<unknown, unknown>) => {
      const answers: Promise<unknown>[] = []
      call.on('data', (message) => {
        const answer = answered(async () => handle(message, call))
        answers.push(answer)
        answer.then(
          (value) => call.write(value),
          (error) => call.emit('error', error),
        )
      })
      call.on('end', () => void Promise.allSettled(answers).then(() => call.end()))
    },
  }
}

/** Awaited where a stream ends: until then its failure is nobody's. */
function answered(answer: () => Promise<unknown>): Promise<unknown> {
  const promise = answer()
  promise.catch(() => undefined)
  return promise
}

type Client = InstanceType<ReturnType<typeof makeClientConstructor>>
export const EchoClient = makeClientConstructor(Echo, 'Echo')
export type EchoClient = Client

export interface Sending {
  readonly metadata?: Metadata
  readonly options?: CallOptions
  /** Told of the call, when it is made. */
  readonly made?: (call: { cancel(): void }) => void
}

/** Sends a message in some form (streams: twice), and answers with all answers. Rejects with gRPC's error. */
export function send(
  client: EchoClient,
  form: Form,
  message: unknown,
  { metadata = new Metadata(), options = {}, made = () => {} }: Sending = {},
): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const done = (error: ServiceError | null, answer?: unknown): void => {
      if (error) reject(error)
      else resolve([answer])
    }
    const read = (stream: ClientReadableStream<unknown>): void => {
      const answers: unknown[] = []
      stream.on('data', (answer) => answers.push(answer))
      stream.on('end', () => resolve(answers))
      stream.on('error', reject)
    }
    const write = (stream: Pick<ClientWritableStream<unknown>, 'write' | 'end'>): void => {
      stream.write(message)
      stream.write(message)
      stream.end()
    }
    if (form === 'unary') {
      made(client['unary']!(message, metadata, options, done) as { cancel(): void })
    } else if (form === 'clientStream') {
      const call = client['clientStream']!(metadata, options, done) as ClientWritableStream<unknown>
      made(call)
      write(call)
    } else if (form === 'serverStream') {
      const call = client['serverStream']!(message, metadata, options) as ClientReadableStream<unknown>
      made(call)
      read(call)
    } else {
      const call = client['bidi']!(metadata, options) as ClientDuplexStream<unknown, unknown>
      made(call)
      read(call)
      write(call)
    }
  })
}

/** Why a call failed. */
export async function failureOf(sent: Promise<unknown>): Promise<ServiceError> {
  return sent.then(
    (answers) => {
      throw new Error(`was answered: ${JSON.stringify(answers)}`)
    },
    (error: ServiceError) => error,
  )
}

/** The code that a refused call has in its metadata. */
export function kestCode({ metadata }: ServiceError): unknown {
  return metadata.get('kest-error').join()
}

/** Metadata of these. */
export function metadataOf(entries: Readonly<Record<string, string | readonly string[]>>): Metadata {
  const metadata = new Metadata()
  for (const [name, values] of Object.entries(entries))
    for (const value of [values].flat()) metadata.add(name, value)
  return metadata
}
