import type { Server } from 'node:http'
import type { RequestKest } from '../adapter/exchange.js'
import type { AdapterOptions } from '../adapter/ingress.js'

/** What a handler of the suite sees of a request, in whatever form its framework gives it. */
export interface SuiteRequest {
  /** What the adapter keeps on the request. */
  readonly kest: RequestKest
  /** The header `baggage`, as the framework shows it to a handler. */
  readonly baggage: string | undefined
  /** The whole body as text, as the framework reads it. */
  body(): Promise<string>
}

/** One route of the application that the suite has an adapter serve. */
export interface SuiteRoute {
  readonly method: 'GET' | 'POST'
  /** A pattern, as `/orders/:id`. */
  readonly path: string
  readonly policy: string
  /** What it answers is sent as JSON, with 200; what it throws is the application's own error. */
  handle(request: SuiteRequest): unknown
}

/** An adapter that is to behave like all others. */
export interface InboundAdapter {
  /**
   * Makes an application: the adapter with these options before anything else, and the routes behind it, each protected by
   * its policy. Answers with its server, which does not listen yet; the suite closes it.
   */
  serve(options: AdapterOptions, routes: readonly SuiteRoute[]): Promise<Server>
}
