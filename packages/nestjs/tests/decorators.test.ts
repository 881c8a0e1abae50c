import {
  applyDecorators,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Header,
  HttpCode,
  Param,
  Query,
  Redirect,
  SetMetadata,
  UseGuards,
  UsePipes,
} from '@nestjs/common'
import { Reflector } from '@nestjs/core'
import { describe, expect, it } from 'vitest'
import { Protect } from '../src/index.js'
import { nestVersion, PLATFORMS, serve } from './support/apps.js'
import { callerHeaders, createService, operations } from './support/kest.js'

const roles: unknown[] = []

class RolesGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    roles.push(new Reflector().get('roles', context.getHandler()))
    return true
  }
}

const Roles = (...names: string[]) => SetMetadata('roles', names)

/** As wrapping decorators are written: it hands on what it is given. */
function Shout(): MethodDecorator {
  return (_target, _key, descriptor: PropertyDescriptor) => {
    const { value } = descriptor
    descriptor.value = async function (this: unknown, ...args: unknown[]) {
      return String(await value.apply(this, args)).toUpperCase()
    }
    for (const key of Reflect.getMetadataKeys(value))
      Reflect.defineMetadata(key, Reflect.getMetadata(key, value), descriptor.value)
  }
}

const Read = () => applyDecorators(Get('composed'), Protect({ policy: 'x' }), HttpCode(203))

class Parent {
  @Get('parent/:id')
  @Protect({ policy: 'parent' })
  find(@Param('id') id: string): unknown {
    return { by: 'parent', id }
  }
}

@Controller()
class Child extends Parent {
  @Get('child/:id')
  @Protect({ policy: 'child' })
  override find(@Param('id') id: string, @Query('q') q?: string): unknown {
    return { by: 'child', id, q, operations: operations() }
  }
}

@Controller()
class DecoratedController {
  @Protect({ policy: 'x' })
  @Get('first/:id')
  @HttpCode(202)
  @Header('x-own', 'yes')
  @Roles('admin')
  @UseGuards(RolesGuard)
  first(@Param('id') id: string, @Query('q') q?: string): unknown {
    return { id, q, length: this.first.length, name: this.first.name }
  }

  @Roles('admin')
  @UseGuards(RolesGuard)
  @Header('x-own', 'yes')
  @HttpCode(202)
  @Get('last/:id')
  @Protect({ policy: 'x' })
  last(@Param('id') id: string, @Query('q') q?: string): unknown {
    return { id, q, length: this.last.length, name: this.last.name }
  }

  @Shout()
  @Protect({ policy: 'x' })
  @Get('outside')
  outside(): string {
    return 'outside'
  }

  @Protect({ policy: 'x' })
  @Shout()
  @Get('inside')
  inside(): string {
    return 'inside'
  }

  @Read()
  composed(): string {
    return 'composed'
  }

  @Get('moved')
  @Protect({ policy: 'x' })
  @Redirect('/elsewhere', 301)
  moved(): void {}

  @Get('piped/:id')
  @Protect({ policy: 'x' })
  @UsePipes({ transform: (value) => structuredClone(typeof value === 'function' ? {} : value) })
  piped(): never {
    return expect.unreachable()
  }

  @Get('called')
  @Protect({ policy: 'x' })
  async called(): Promise<unknown> {
    return { called: await Promise.resolve(this.inside()).catch((error: { code: string }) => error.code) }
  }
}

describe.each(PLATFORMS)(
  `NestJS ${nestVersion()} on $platform: @Protect() among other decorators`,
  (platform) => {
    async function served() {
      roles.length = 0
      const { kest, engine } = createService()
      const metadata = { controllers: [DecoratedController, Child], providers: [RolesGuard] }
      const url = await serve(platform, metadata, { kest }, (app) =>
        // A pipe for all; it leaves alone what is no argument of the method's own.
        app.useGlobalPipes(new Untouched()),
      )
      const get = async (path: string) =>
        fetch(`${url}/${path}`, { headers: await callerHeaders(), redirect: 'manual' })
      return { get, engine }
    }

    it.each(['first', 'last'])('keeps what others have said of the method: it stands %s', async (path) => {
      const { get } = await served()
      const answer = await get(`${path}/7?q=a`)
      expect([answer.status, answer.headers.get('x-own')]).toEqual([202, 'yes'])
      expect(await answer.json()).toEqual({ id: '7', q: 'a', length: 2, name: path })
      expect(roles).toEqual([['admin']])
    })

    it.each(['outside', 'inside'])('works with decorators that wrap: %s', async (path) => {
      const { get, engine } = await served()
      expect(await (await get(path)).text()).toBe(path.toUpperCase())
      expect(engine.requests).toHaveLength(1)
    })

    it('works composed, and with redirects', async () => {
      const { get } = await served()
      const composed = await get('composed')
      expect([composed.status, await composed.text()]).toEqual([203, 'composed'])
      const moved = await get('moved')
      expect([moved.status, moved.headers.get('location')]).toEqual([301, '/elsewhere'])
    })

    it('a method that overrides a protected one has its own policy and its own arguments', async () => {
      const { get, engine } = await served()
      expect(await (await get('child/7?q=a')).json()).toEqual({
        by: 'child',
        id: '7',
        q: 'a',
        operations: ['caller.call', 'GET /child/:id'],
      })
      expect(engine.requests.map(({ policies }) => policies)).toEqual([['child']])
      expect((await get('parent/7')).status).toBe(404)
    })

    it('a call that does not come by Nest, and what a pipe has changed, reach no handler', async () => {
      const { get, engine } = await served()
      expect(await (await get('called')).json()).toEqual({ called: 'ERR_KEST_CONFIG' })
      const piped = await get('piped/7')
      expect([piped.status, await piped.json()]).toMatchObject([500, { code: 'ERR_KEST_CONFIG' }])
      expect(engine.requests).toHaveLength(1)
    })
  },
)

class Untouched {
  transform(value: unknown): unknown {
    return value
  }
}
