import { describeOutbound } from '../../../tests/outbound/suite.js'
import { patchHttp } from '../../http/dist/index.js'
import { openGrpcClient, startGrpcServer } from './support/backend.js'

describeOutbound('grpc-js with createKestInterceptor', {
  open: openGrpcClient,
  follows: false,
  plain: false,
  serve: startGrpcServer,
})

// Its connections are of HTTP/2, which asks for streams in the context of whoever opened them.
describeOutbound('grpc-js with createKestInterceptor, over the node:http2 of patchHttp', {
  open(rule) {
    const [unpatch, client] = [patchHttp(rule), openGrpcClient(rule)]
    return {
      send: client.send,
      async close() {
        await client.close()
        unpatch()
      },
    }
  },
  follows: false,
  plain: false,
  serve: startGrpcServer,
})
