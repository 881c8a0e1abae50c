import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toBinary } from '@bufbuild/protobuf'
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { workloadApi } from '../../src/workload-api/service.js'
import { type X509SVIDResponse, X509SVIDResponseSchema } from '../../src/workload-api/workload_pb.js'

type Stream = ServerWritableStream<unknown, Uint8Array>
type Unary = (
  call: { readonly request: unknown; readonly metadata: Metadata },
  answer: sendUnaryData<Uint8Array>,
) => void

/** What the server does when a call comes. Answers are bytes, so that it can also say what is no message. */
export interface Script {
  readonly fetchX509SVID?: (call: Stream) => void
  readonly fetchX509Bundles?: (call: Stream) => void
  readonly fetchJWTBundles?: (call: Stream) => void
  readonly fetchJWTSVID?: Unary
  readonly validateJWTSVID?: Unary
}

/** A Workload API that says exactly what a test wants. */
export class ScriptedServer {
  readonly #directory = mkdtempSync(join(tmpdir(), 'kest-scripted-'))
  readonly address: string = `unix://${this.#directory}/api.sock`
  #server: Server | undefined
  script: Script = {}

  async start(script: Script = this.script): Promise<this> {
    this.script = script
    const server = new Server()
    const service = Object.fromEntries(
      Object.entries(workloadApi).map(([name, method]) => [
        name,
        { ...method, responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes) },
      ]),
    )
    const handlers = Object.fromEntries(
      Object.keys(this.script).map((name) => [
        name,
        (...args: never[]) => (this.script[name as keyof Script] as (...args: never[]) => void)(...args),
      ]),
    )
    server.addService(service as never, handlers as never)
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(this.address, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      )
    })
    this.#server = server
    return this
  }

  /** Breaks every connection and takes the socket away. */
  stop(): void {
    this.#server?.forceShutdown()
    this.#server = undefined
  }

  close(): void {
    this.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

export function x509Message(response: Omit<X509SVIDResponse, '$typeName' | '$unknown' | 'crl'>): Uint8Array {
  return toBinary(X509SVIDResponseSchema, { $typeName: 'X509SVIDResponse', crl: [], ...response })
}
