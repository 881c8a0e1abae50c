import type { InboundHeaders } from './listener.js'

/** A request as `node:http` has it, or what an adapter of another protocol puts in its place. */
export interface ArrivedRequest {
  /** The listener takes the `kest.*` members out of `baggage` here. */
  readonly headers: InboundHeaders
  readonly rawHeaders?: readonly string[] | undefined
  readonly method?: string | undefined
  /** As in the request line. */
  readonly url?: string | undefined
  /** The connection: `peerOf` says who is at its other end. */
  readonly socket?: object | undefined
}

/** A response as `node:http` has it, or what an adapter of another protocol puts in its place. */
export interface ArrivedResponse {
  readonly headersSent: boolean
  readonly writableEnded: boolean
  readonly destroyed: boolean
  /** One of 500 and above says that the request has failed. */
  readonly statusCode?: number | undefined
  /** `close`: it is over, sent or not. */
  once(event: 'close', listener: () => void): unknown
}
