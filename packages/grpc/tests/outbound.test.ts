import { describeOutbound } from '../../../tests/outbound/suite.js'
import { openGrpcClient, startGrpcServer } from './support/backend.js'

describeOutbound('grpc-js with createKestInterceptor', {
  open: openGrpcClient,
  follows: false,
  serve: startGrpcServer,
})
