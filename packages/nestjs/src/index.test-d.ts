// Compiled, never run: what the types let pass, and what they do not.
import type { Operation, Passport } from '@kest/core'
import { type DynamicModule, type ExecutionContext, Get, Param, Req, Sse } from '@nestjs/common'
import { EMPTY, type Observable } from 'rxjs'
import {
  KestModule,
  type KestModuleOptions,
  Open,
  Protect,
  type ProtectOptions,
  type WithKest,
} from './index.js'

const module: DynamicModule = KestModule.forRoot({
  origin: 'user_input',
  onError: 'next',
})
KestModule.forRoot({ switchIdentity: ({ url }) => url === '/switch' })
KestModule.forRootAsync({ useFactory: async (): Promise<KestModuleOptions> => ({ origin: 'internet' }) })
KestModule.forRootAsync({
  inject: ['SETTINGS'],
  useFactory: (settings: { origin: string }) => ({ origin: settings.origin }),
})

class OrdersController {
  @Get(':id')
  @Protect({
    policy: ['a', 'b'],
    resource: (context: ExecutionContext, [id]) => ({ id: `${context.getClass().name} ${id}` }),
    user: (context) => context.switchToHttp().getRequest<{ user: string }>().user,
  })
  find(@Param('id') _id: string, @Req() { kest }: WithKest): Operation | null {
    const passport: Passport = kest.passport
    return passport.length > 0 ? kest.operation : null
  }

  @Sse()
  @Protect({ policy: 'p' })
  events(): Observable<never> {
    return EMPTY
  }

  @Get('health')
  @Open()
  health(): void {}
}

const options: ProtectOptions = { policy: 'p', classification: 'secret' }
Protect(options)

// @ts-expect-error an operation needs a policy
Protect({})
// @ts-expect-error and options
Protect()
// @ts-expect-error routes name their operations
Protect({ policy: 'p', operation: 'orders.read' })
// @ts-expect-error no such option
Protect({ policy: 'p', misspelt: 1 })
// @ts-expect-error no such option
KestModule.forRoot({ misspelt: 1 })
// @ts-expect-error one of two
KestModule.forRoot({ onError: 'throw' })
// @ts-expect-error an answer, not a promise of one
KestModule.forRoot({ switchIdentity: async () => true })
// @ts-expect-error it takes nothing
Open('health')

class OnAClass {}
// @ts-expect-error it stands on methods
Protect({ policy: 'p' })(OnAClass)

export { module, OnAClass, OrdersController }
