import { testCallReceipts, testHostileReceipts } from '../../../tests/outbound/receipt-suite.js'
import { FORMS } from './support/echo.js'
import { startRawServerAsHttp } from './support/raw-server.js'
import { sendBy } from './support/receipts.js'

for (const form of FORMS)
  testCallReceipts(`createKestInterceptor, ${form}`, sendBy(form), startRawServerAsHttp)

// Of fields of one name, HTTP/2 in Node makes one.
const why = { 'itself twice': 'three', 'itself and another field': 'three' }
testHostileReceipts('createKestInterceptor', sendBy('unary'), startRawServerAsHttp, why)
