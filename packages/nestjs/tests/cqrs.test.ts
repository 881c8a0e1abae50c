import { getCurrentUser } from '@kest/core'
import { Controller, Get, Inject, Param } from '@nestjs/common'
import {
  CommandBus,
  CommandHandler,
  CqrsModule,
  EventBus,
  EventsHandler,
  type ICommandHandler,
  type IEventHandler,
  type IQueryHandler,
  QueryBus,
  QueryHandler,
} from '@nestjs/cqrs'
import { expect, it } from 'vitest'
import { Protect } from '../src/index.js'
import { nestVersion, PLATFORMS, serve } from './support/apps.js'
import { callerHeaders, createService, operations } from './support/kest.js'

const seen: unknown[] = []
const see = (where: string) => seen.push([where, getCurrentUser(), operations()])

class Ship {
  constructor(readonly id: string) {}
}
class Find {
  constructor(readonly id: string) {}
}
class Shipped {
  constructor(readonly id: string) {}
}

@CommandHandler(Ship)
class ShipHandler implements ICommandHandler<Ship> {
  constructor(@Inject(EventBus) private readonly events: EventBus) {}

  async execute({ id }: Ship): Promise<string> {
    see('command')
    this.events.publish(new Shipped(id))
    return id
  }
}

@QueryHandler(Find)
class FindHandler implements IQueryHandler<Find> {
  async execute({ id }: Find): Promise<string> {
    see('query')
    return id
  }
}

@EventsHandler(Shipped)
class ShippedHandler implements IEventHandler<Shipped> {
  handle(): void {
    see('event')
  }
}

@Controller()
class OrdersController {
  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(QueryBus) private readonly queries: QueryBus,
  ) {}

  @Get('ship/:id')
  @Protect({ policy: 'ship' })
  async ship(@Param('id') id: string): Promise<unknown> {
    await this.queries.execute(new Find(id))
    return this.commands.execute(new Ship(id))
  }
}

it.each(PLATFORMS)(
  `NestJS ${nestVersion()} on $platform: handlers of CQRS run inside the operation that sends to them`,
  async (platform) => {
    seen.length = 0
    const { kest } = createService()
    const metadata = {
      imports: [CqrsModule],
      controllers: [OrdersController],
      providers: [ShipHandler, FindHandler, ShippedHandler],
    }
    const url = await serve(platform, metadata, { kest })
    const answer = await fetch(`${url}/ship/7`, { headers: await callerHeaders() })
    expect([answer.status, await answer.text()]).toEqual([200, '7'])
    const within = ['alice', ['caller.call', 'GET /ship/:id']]
    expect(seen).toEqual(['query', 'command', 'event'].map((where) => [where, ...within]))
  },
)
