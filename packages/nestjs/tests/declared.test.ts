import { Controller, Get, type INestApplication, Injectable, Scope, SetMetadata } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { describe, expect, it } from 'vitest'
import { KestModule, type KestModuleOptions, Open, Protect } from '../src/index.js'
import { appModule, createApp, listen, nestVersion, PLATFORMS } from './support/apps.js'
import { callerHeaders, createService } from './support/kest.js'

class Base {
  @Get('inherited')
  inherited(): string {
    return 'inherited'
  }
}

@Controller()
class Forgotten extends Base {
  @Get('forgotten')
  forgotten(): string {
    return 'forgotten'
  }

  @Get('kept')
  @Protect({ policy: 'kept' })
  kept(): string {
    return 'kept'
  }

  @Get('open')
  @Open()
  open(): string {
    return 'open'
  }
}

class ProtectedBase {
  @Get('inherited')
  @Protect({ policy: 'inherited' })
  inherited(): string {
    return 'inherited'
  }
}

@Controller('below')
class Inheriting extends ProtectedBase {}

@Controller('over')
class Overriding extends ProtectedBase {
  @Get('inherited')
  override inherited(): string {
    return 'another'
  }
}

/** As decorators of transports mark methods. */
const message = SetMetadata('microservices:pattern', ['orders'])
const event = SetMetadata('websockets:message_mapping', true)
const subscription = SetMetadata('graphql:resolver_type', 'Subscription')

@Controller()
class Messages {
  @message
  unsaid(): void {}

  @message
  @Protect({ policy: 'message' })
  protectedOne(): void {}

  @message
  @Open()
  open(): void {}
}

@Injectable()
class Gateway {
  @event
  unsaid(): void {}

  @subscription
  @Protect({ policy: 'subscription' })
  protectedOne(): void {}
}

@Injectable()
class Service {
  @Protect({ policy: 'service' })
  noHandler(): void {}
}

@Controller()
class Replacing {
  constructor() {
    this.find = () => 'unprotected'
  }

  @Get('find')
  @Protect({ policy: 'find' })
  find(): string {
    return 'protected'
  }
}

@Controller({ path: 'anew', scope: Scope.REQUEST })
class ReplacingAnew extends Replacing {}

describe.each(PLATFORMS)(
  `NestJS ${nestVersion()} on $platform: handlers about which nothing was said`,
  (platform) => {
    const { kest } = createService()

    function appOf(metadata: object, options: KestModuleOptions = {}): Promise<INestApplication> {
      return createApp(platform, appModule(metadata, { kest, ...options }))
    }

    async function faultsOf(metadata: object): Promise<readonly string[]> {
      const app = await appOf(metadata)
      const error = await app.listen(0, '127.0.0.1').catch((error: unknown) => error)
      expect(error).toMatchObject({ code: 'ERR_KEST_CONFIG' })
      expect(app.getHttpServer().listening).toBe(false)
      return (error as Error).message.replace(/^KestModule: /, '').split('; ')
    }

    it('are refused at start, all of them by name, the inherited ones too', async () => {
      expect(await faultsOf({ controllers: [Forgotten, Inheriting, Overriding] })).toEqual([
        'Forgotten.forgotten: it has neither @Protect() nor @Open()',
        'Forgotten.inherited: it has neither @Protect() nor @Open()',
        'Overriding.inherited: it has neither @Protect() nor @Open()',
      ])
    })

    it('messages and subscriptions cannot be protected, and have to be said to be open', async () => {
      expect(await faultsOf({ controllers: [Messages], providers: [Gateway] })).toEqual([
        'Messages.unsaid: Kest does not cover messages and subscriptions: say so by @Open()',
        'Messages.protectedOne: @Protect() does not cover messages and subscriptions: they come with no request of HTTP',
        'Gateway.unsaid: Kest does not cover messages and subscriptions: say so by @Open()',
        'Gateway.protectedOne: @Protect() does not cover messages and subscriptions: they come with no request of HTTP',
      ])
    })

    it('@Protect() on what is no handler is refused', async () => {
      const [fault, ...others] = await faultsOf({ providers: [Service] })
      expect([fault, others]).toEqual([
        'Service.noHandler: @Protect() stands on what is no handler',
        ['use kest.verified() there'],
      ])
    })

    it('an instance with another function in the place of a handler is refused', async () => {
      expect(await faultsOf({ controllers: [Replacing] })).toEqual([
        'Replacing.find: the instance has another function in its place, which nothing was said about',
      ])
    })

    it('an instance that is made for one request, too, at each request', async () => {
      const url = await listen(await appOf({ controllers: [ReplacingAnew] }))
      const answer = await fetch(`${url}/anew/find`, { headers: await callerHeaders() })
      expect([answer.status, await answer.json()]).toMatchObject([500, { code: 'ERR_KEST_CONFIG' }])
    })

    it('a handler that is protected and open is neither', () => {
      const twice = () => {
        class Twice {
          @Open()
          @Protect({ policy: 'x' })
          find(): void {}
        }
        return Twice
      }
      expect(twice).toThrow(/Twice\.find: it is protected already/)
      const notOne = () => Protect({ policy: 'x' })(class {}, 'find', undefined as never)
      expect(notOne).toThrow(/stands on a method/)
    })

    it('KestModule imported twice is refused, and so is a platform that is neither', async () => {
      const twice = await appOf({ imports: [KestModule.forRoot({ kest, origin: 'internet' })] })
      await expect(twice.init()).rejects.toMatchObject({
        code: 'ERR_KEST_CONFIG',
        message: expect.stringContaining('imported twice'),
      })
      const other = platform.adapterOf()
      Object.assign(other, { getType: () => 'node' })
      const app = await createApp({ adapterOf: () => other as never }, appModule({}, { kest }))
      await expect(app.init()).rejects.toThrow('the platform "node" is not covered')
    })

    it('options that are unknown or wrong end the making of the application', async () => {
      for (const options of [{ misspelt: 1 }, { switchIdentity: 'yes' }, { onError: 'throw' }, { kest: {} }])
        await expect(appOf({}, options as never)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
      await expect(createApp(platform, appModule({}, null as never))).rejects.toThrow(/options/)
    })

    it('an application without a server has no requests to judge', async () => {
      const context = await NestFactory.createApplicationContext(appModule({ providers: [] }, { kest }), {
        logger: false,
        abortOnError: false,
      })
      await context.close()
    })
  },
)
