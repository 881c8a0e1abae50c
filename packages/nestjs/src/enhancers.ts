import { KestError, toProblem } from '@kest/core'
import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  type ExceptionFilter,
  type ExecutionContext,
} from '@nestjs/common'
import { throwError } from 'rxjs'
import { toGraphqlError } from './graphql-error.js'
import { kindOf } from './handlers.js'
import { markOf } from './marks.js'
import { answer, misconfigured, refuse } from './refuse.js'

/**
 * Answers errors of Kest that no filter of the application takes: those that handlers throw, and refusals with
 * `onError: 'next'`. Where a refusal was answered already nothing is done, nor logged once more.
 */
export class KestErrorFilter implements ExceptionFilter<KestError> {
  catch(error: KestError, host: ArgumentsHost): unknown {
    switch (host.getType<string>()) {
      case 'http':
        return answer(error, host.switchToHttp().getResponse())
      case 'graphql':
        throw toGraphqlError(error)
      case 'ws':
        return host.switchToWs().getClient().emit('exception', untold(error))
      default:
        return throwError(() => untold(error))
    }
  }
}
Catch(KestError)(KestErrorFilter)

/** As Nest's own filters for messages tell of an error. */
function untold(error: KestError): object {
  const { title: message, code } = toProblem(error).body
  return { status: 'error', message, code }
}

/**
 * Refuses handlers about which nothing was said and that were not found at start: functions that an instance made for one
 * request has in the place of its class's.
 */
export class DeclaredGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const handler = context.getHandler()
    const type = context.getType<string>()
    if (markOf(handler) !== undefined) return true
    if (type !== 'http' && kindOf(handler, context.getClass()) === null) return true
    const fault = misconfigured(
      `${context.getClass().name}.${handler.name}: it has neither @Protect() nor @Open()`,
    )
    throw type === 'http' ? refuse(fault, 'respond', context.switchToHttp().getResponse()) : fault
  }
}
