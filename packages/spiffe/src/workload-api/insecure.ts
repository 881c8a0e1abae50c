import { type ChannelCredentials, credentials } from '@grpc/grpc-js'

/**
 * Neither TLS nor credentials: the agent looks at who calls (SPIFFE Workload Endpoint §3, §5). And connections that keep no
 * process alive, of which gRPC has no option: it is asked for the connector that every kind of credentials makes. What is
 * waited for has a timer that does: a source's first update, and the deadline of a call.
 */
export function credentialsForAgent(): ChannelCredentials {
  const insecure = credentials.createInsecure()
  const createConnector = insecure._createSecureConnector
  insecure._createSecureConnector = (...args) => {
    const connector = createConnector.apply(insecure, args)
    const connect = connector.connect
    connector.connect = (socket) => {
      // The session would hold it again for as long as a call runs, and what is followed is a call that does not end.
      socket.unref().ref = () => socket
      return connect.call(connector, socket)
    }
    return connector
  }
  return insecure
}
