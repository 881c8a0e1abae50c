import { getCurrentUser, KestError } from '@kest/core'
import { MockPolicyEngine } from '@kest/core/testing'
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo'
import {
  Args,
  Field,
  GraphQLModule,
  Mutation,
  ObjectType,
  Parent,
  Query,
  ResolveField,
  Resolver,
  Subscription,
} from '@nestjs/graphql'
import { map, type Observable, timer } from 'rxjs'
import { expect, it } from 'vitest'
import { Open, Protect } from '../../src/index.js'
import { appModule, createApp, nestVersion, PLATFORMS, serve } from '../support/apps.js'
import { callerHeaders, createService, operations } from '../support/kest.js'

const seen: unknown[] = []
const see = (where: string) => seen.push([where, getCurrentUser(), operations()])

@ObjectType()
class Order {
  @Field(() => String)
  id!: string

  @Field(() => String)
  state?: string
}

@Resolver(() => Order)
class OrdersResolver {
  @Query(() => Order)
  @Protect({ policy: 'orders/read', resource: (_context, [id]) => ({ id: String(id) }) })
  @Reflect.metadata('design:paramtypes', [String])
  async order(@Args('id', { type: () => String }) id: string): Promise<Order> {
    see(`query ${id}`)
    await Promise.resolve()
    see(`query ${id}`)
    return { id }
  }

  @Protect({ policy: 'denied' })
  @Mutation(() => Order)
  ship(): never {
    return expect.unreachable()
  }

  @Query(() => String)
  @Open()
  version(): string {
    see('open')
    return '1'
  }

  @Query(() => String)
  @Protect({ policy: 'orders/read' })
  within(): never {
    throw new KestError('ERR_KEST_DENIED', 'secret: denied within')
  }

  @Protect({ policy: 'orders/read' })
  @Query(() => Number)
  given(...args: unknown[]): number {
    return args.length
  }

  @Protect({ policy: 'orders/read' })
  @Query(() => String)
  emitted(): Observable<string> {
    return timer(1).pipe(
      map(() => {
        see('emitted')
        return ''
      }),
    )
  }

  @ResolveField(() => String)
  state(@Parent() { id }: Order): string {
    see(`field of ${id}`)
    return 'new'
  }
}

@Resolver(() => Order)
class Unsaid {
  @Query(() => String)
  unsaid(): string {
    return ''
  }

  @Subscription(() => String)
  news(): never {
    return expect.unreachable()
  }
}

const [express] = PLATFORMS
const graphql = () =>
  GraphQLModule.forRoot<ApolloDriverConfig>({
    driver: ApolloDriver,
    autoSchemaFile: true,
    includeStacktraceInErrorResponses: false,
    csrfPrevention: false,
  })

async function served() {
  seen.length = 0
  const { kest, engine } = createService(new MockPolicyEngine({ 'orders/read': true }))
  const url = await serve(express, { imports: [graphql()], providers: [OrdersResolver] }, { kest })
  const ask = async (query: string, headers?: Record<string, string>) => {
    const answer = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { ...(headers ?? (await callerHeaders())), 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
    })
    return {
      status: answer.status,
      body: (await answer.json()) as { data?: unknown; errors?: unknown; code?: string },
    }
  }
  return { ask, engine }
}

it(`NestJS ${nestVersion()}: each resolver is an operation of its own, also beside others, and fields run outside of it`, async () => {
  const { ask, engine } = await served()
  const { body } = await ask('{ a: order(id: "1") { id state } b: order(id: "2") { id } given version }')
  expect(body).toEqual({ data: { a: { id: '1', state: 'new' }, b: { id: '2' }, given: 4, version: '1' } })
  const before = ['caller.call']
  const own = ['alice', [...before, 'Query.order']]
  const whereOf = (one: unknown) => String((one as readonly unknown[])[0])
  expect(seen.toSorted((a, b) => whereOf(a).localeCompare(whereOf(b)))).toEqual([
    // A parent is over when its fields are asked for: its entry has joined those of the request.
    ['field of 1', 'alice', expect.arrayContaining([...before, 'Query.order'])],
    ['open', 'alice', before],
    ['query 1', ...own],
    ['query 1', ...own],
    ['query 2', ...own],
    ['query 2', ...own],
  ])
  expect(engine.requests.map(({ context }) => context.object.id).sort()).toEqual(['1', '2', 'Query.given'])
})

it('an Observable emits inside the operation of its resolver, and of no other', async () => {
  const { ask } = await served()
  const { body } = await ask('{ a: emitted b: emitted }')
  expect(body).toEqual({ data: { a: '', b: '' } })
  expect(seen).toEqual(Array(2).fill(['emitted', 'alice', ['caller.call', 'Query.emitted']]))
})

it('a refusal is an error of GraphQL with a code and nothing more; what is refused before is problem+json', async () => {
  const { ask } = await served()
  for (const query of ['mutation { ship { id } }', '{ within }']) {
    const { body } = await ask(query)
    expect(body.errors).toMatchObject([
      { message: 'A policy denies the request', extensions: { code: 'ERR_KEST_DENIED' } },
    ])
    expect(JSON.stringify(body)).not.toContain('secret')
  }
  expect(await ask('{ version }', {})).toMatchObject({
    status: 403,
    body: { code: 'ERR_KEST_LINEAGE_MISSING' },
  })
})

it('resolvers and subscriptions about which nothing was said are refused at start', async () => {
  const { kest } = createService()
  const app = await createApp(express, appModule({ imports: [graphql()], providers: [Unsaid] }, { kest }))
  await expect(app.init()).rejects.toThrow(
    'KestModule: Unsaid.unsaid: it has neither @Protect() nor @Open(); Unsaid.news: Kest does not cover messages and subscriptions: say so by @Open()',
  )
  await app.close()
})
