import { type ClientReadableStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import type { SeenAnswer, SendForReceipt } from '../../../../tests/outbound/receipt-suite.js'
import { createKestInterceptor, type KestInterceptorOptions } from '../../src/index.js'
import { EchoClient, type Form } from './echo.js'

/** What an application can see of a call. */
export interface Call {
  readonly seen: Promise<SeenAnswer>
  cancel(): void
}

type Rule = Omit<KestInterceptorOptions, 'target'>

export interface Calling {
  readonly form?: Form
  readonly deadline?: number
  readonly client?: ConstructorParameters<typeof EchoClient>[2]
  readonly onMetadata?: () => void
}

/** One call by a client of its own: what is told, in the order in which it is told, and how it ends. */
export function callForReceipt(
  url: string,
  rule: Rule,
  { form = 'unary', deadline, client: channel = {}, onMetadata = () => {} }: Calling = {},
  told: string[] = [],
): Call {
  const { origin, host } = new URL(url)
  const kest = createKestInterceptor({ target: origin, ...rule })
  const client = new EchoClient(host, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    interceptors: [kest],
    ...channel,
  })
  const [message, options] = [{ url: url.slice(origin.length) }, deadline === undefined ? {} : { deadline }]
  let cancel = (): void => {}
  const seen = new Promise<SeenAnswer>((resolve, reject) => {
    const names = new Set<string>()
    const pieces: unknown[] = []
    const see = (metadata: Metadata): void => {
      for (const name of Object.keys(metadata.getMap())) names.add(name)
    }
    const take = (answer: unknown): void => {
      told.push('message')
      pieces.push(answer)
    }
    const failed = (error: ServiceError): void => {
      told.push(`error ${error.code}`)
      see(error.metadata)
      const isOwn = error.code === 13 && error.metadata.get('kest-error').length === 0
      if (isOwn) resolve({ status: 500, names: [...names], body: error.details })
      else reject(error)
    }
    const done = (error: ServiceError | null, answer?: unknown): void => {
      if (error) failed(error)
      else take(answer)
    }
    const calls = {
      unary: () => client['unary']!(message, new Metadata(), options, done),
      clientStream: () => client['clientStream']!(new Metadata(), options, done),
      serverStream: () => client['serverStream']!(message, new Metadata(), options),
      bidi: () => client['bidi']!(new Metadata(), options),
    }
    const call = calls[form]() as ClientReadableStream<unknown> & {
      write?(message: unknown): void
      end?(): void
    }
    cancel = () => call.cancel()
    call.on('metadata', (metadata: Metadata) => {
      told.push('metadata')
      see(metadata)
      onMetadata()
    })
    call.on('status', ({ code, metadata }: { code: number; metadata: Metadata }) => {
      told.push(`status ${code}`)
      see(metadata)
      if (code === 0 && pieces.length > 0) resolve({ status: 200, names: [...names], body: pieces.join('') })
    })
    if (form === 'serverStream' || form === 'bidi') {
      call.on('data', take)
      call.on('error', failed)
    }
    if (form === 'clientStream' || form === 'bidi') {
      call.write?.(message)
      call.write?.({})
      call.end?.()
    }
  })
  return { seen: seen.finally(() => client.close()), cancel: () => cancel() }
}

/** For the suite of every client. */
export function sendBy(form: Form): SendForReceipt {
  return async (url, { redirects: _, ...rule }) => callForReceipt(url, rule, { form }).seen
}
