// Between hops where `MTLS` is set: both ends show their SVID, and neither talks to anybody but who is before or behind it.
import {
  createMtlsConnector,
  createMtlsServerFactory,
  type MtlsServerFactory,
  type MtlsSource,
  oneOf,
} from '@kest/spiffe'
import { Agent } from 'undici'
import { CHAIN, principalOf, type Service } from '../chain.js'

/** The server of a service, which lets in the one before it, and the service itself for its health check. */
export function mtlsServerOf(service: Service, source: MtlsSource): MtlsServerFactory {
  const before = CHAIN[CHAIN.indexOf(service) - 1] ?? service
  const callers = [...new Set([before, service])]
  return createMtlsServerFactory(source, { authorize: oneOf(...callers.map(principalOf)) })
}

/** Connections to a service: over TLS where its URL says so, and then to nobody else. */
export function connectionsTo(service: Service, url: URL, source: MtlsSource): Agent {
  if (url.protocol !== 'https:') return new Agent()
  return new Agent({ connect: createMtlsConnector(source, { authorize: oneOf(principalOf(service)) }) })
}
