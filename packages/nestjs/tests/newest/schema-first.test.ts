import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo'
import { GraphQLModule, Query, ResolveField, Resolver } from '@nestjs/graphql'
import { expect, it } from 'vitest'
import { Open, Protect } from '../../src/index.js'
import { appModule, createApp, nestVersion, PLATFORMS, serve } from '../support/apps.js'
import { callerHeaders, createService, operations } from '../support/kest.js'

/** To Nest, each method of a resolver of `Query` is one, decorated or not. */
@Resolver('Query')
class QueryResolver {
  @ResolveField('order')
  @Protect({ policy: 'orders/read' })
  find(): string {
    return JSON.stringify(operations())
  }

  @Protect({ policy: 'orders/read' })
  plain(): string {
    return JSON.stringify(operations())
  }

  @Open()
  version(): string {
    return '1'
  }
}

@Resolver('Query')
class Unsaid {
  @ResolveField('order')
  find(): string {
    return ''
  }

  plain(): string {
    return ''
  }

  @Query('version')
  version(): string {
    return ''
  }
}

const [express] = PLATFORMS
const graphql = () =>
  GraphQLModule.forRoot<ApolloDriverConfig>({
    driver: ApolloDriver,
    typeDefs: 'type Query { order: String plain: String version: String }',
    csrfPrevention: false,
  })

it(`NestJS ${nestVersion()}: fields of Query are operations, whatever a schema of one’s own has them by`, async () => {
  const { kest } = createService()
  const url = await serve(express, { imports: [graphql()], providers: [QueryResolver] }, { kest })
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { ...(await callerHeaders()), 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ order plain version }' }),
  })
  const own = (field: string) => JSON.stringify(['caller.call', `Query.${field}`])
  expect(await answer.json()).toEqual({ data: { order: own('order'), plain: own('plain'), version: '1' } })
})

it('those about which nothing was said are refused at start', async () => {
  const { kest } = createService()
  const app = await createApp(express, appModule({ imports: [graphql()], providers: [Unsaid] }, { kest }))
  await expect(app.init()).rejects.toThrow(
    'KestModule: Unsaid.find: it has neither @Protect() nor @Open(); Unsaid.plain: it has neither @Protect() nor @Open(); Unsaid.version: it has neither @Protect() nor @Open()',
  )
  await app.close()
})
