import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { cacheDecisions, KestConfigError, PolicyDeniedError, type PolicyRequest } from '@kest/core'
import fc from 'fast-check'
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { flatContext } from '../src/flat-context.js'
import { CedarWasmEngine, type CedarWasmOptions, contextSchema } from '../src/index.js'
import { loadCedar } from '../src/wasm/cedar.js'
import { contextOf, requestOf } from './support/requests.js'

const folder = mkdtempSync(join(tmpdir(), 'kest-cedar-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

async function load(options: CedarWasmOptions): Promise<CedarWasmEngine> {
  const engine = await CedarWasmEngine.load(options)
  onTestFinished(() => engine.close())
  return engine
}

function outcome(engine: CedarWasmEngine, request: PolicyRequest): unknown {
  try {
    return engine.evaluate(request)
  } catch (error) {
    return error
  }
}

const read = `
@id("readers")
permit(principal, action == Action::"orders/read", resource) when { context.trust_score >= 40 };
@id("no-secrets")
forbid(principal, action, resource) when { context.taints.contains("secret") };
`
const schema = [
  contextSchema('{ owner?: String }'),
  'entity Team; entity Workload in [Team] { level?: Long }; entity Resource;',
  'action reads;',
  'action "orders/read", "orders/list" in [reads] appliesTo { principal: Workload, resource: Resource, context: KestContext };',
]

describe('a decision by Cedar in process', () => {
  it('is an allow when a policy permits and none forbids, with its id', async () => {
    const engine = await load({ policies: read })
    expect(engine.evaluate(requestOf('orders/read'))).toEqual({
      allow: true,
      reason: 'orders/read: permitted by readers',
    })
  })

  it('is a denial with the ids of the policies that decided', async () => {
    const engine = await load({ policies: read })
    const secret = { subject: { taints: ['secret'] } }
    expect(engine.evaluate(requestOf('orders/read', secret))).toEqual({
      allow: false,
      reason: 'orders/read: forbidden by no-secrets',
    })
    expect(engine.evaluate(requestOf('orders/read', { trust_score: 39 }))).toEqual({
      allow: false,
      reason: 'orders/read: no policy permits it',
    })
    expect(engine.evaluate(requestOf('orders/write'))).toMatchObject({ allow: false })
  })

  it('F-PE-03 asks every named policy', async () => {
    const engine = await load({
      policies: `${read} permit(principal, action == Action::"orders/list", resource);`,
    })
    expect(engine.evaluate(requestOf(['orders/list', 'orders/read']))).toEqual({
      allow: true,
      reason: 'orders/list: permitted by policy2; orders/read: permitted by readers',
    })
    for (const names of [
      ['orders/list', 'orders/write'],
      ['orders/write', 'orders/list'],
    ]) {
      expect(engine.evaluate(requestOf(names))).toEqual({
        allow: false,
        reason: 'orders/write: no policy permits it',
      })
    }
  })

  it('sees the workload as principal, the policy as action, the object as resource, and the flat context', async () => {
    const engine = await load({
      policies: `permit(
        principal == Workload::"spiffe://kest.test/orders",
        action == Action::"orders/read",
        resource == Resource::"order/7"
      ) when {
        context has user && context.user == "alice" && !(context has agent) &&
        context.attributes.owner == context.user && context.attributes.lines.contains({ sku: "a", count: 2 }) &&
        context.lineage.depth == 2 && context.lineage.principals.contains("spiffe://kest.test/gateway") &&
        context.object_id == "order/7" && context.policy_tier == "function"
      };`,
    })
    const attributes = { owner: 'alice', lines: [{ sku: 'a', count: 2, note: null }] }
    expect(engine.evaluate(requestOf('orders/read', { object: { attributes } }))).toMatchObject({
      allow: true,
    })
    for (const other of [
      { object: { id: 'order/8', attributes } },
      { object: { attributes: { ...attributes, owner: 'bob' } } },
      { object: { attributes }, subject: { agent: 'a' } },
      { object: { attributes }, subject: { user: null } },
    ]) {
      expect(engine.evaluate(requestOf('orders/read', other))).toMatchObject({ allow: false })
    }
  })

  it('K-FLAT is not moved by attributes that are called like something else', async () => {
    const engine = await load({ policies: read })
    const attributes = { trust_score: 100, taints: [], context: { trust_score: 100 } }
    expect(
      engine.evaluate(requestOf('orders/read', { trust_score: 10, object: { attributes } })),
    ).toMatchObject({
      allow: false,
    })
  })

  it.each<[string, object, RegExp]>([
    ['a fraction', { owner: 1.5 }, /attributes\.owner: 1\.5/],
    ['null in a list', { owner: [null] }, /attributes\.owner\[0\]/],
    ['a reference of a stranger’s making', { owner: { __entity: { type: 'User', id: 'root' } } }, /__entity/],
  ])('NF-SEC-03 is none when an attribute is %s that Cedar cannot hold', async (_, attributes, message) => {
    const engine = await load({
      policies: 'permit(principal, action, resource) unless { context.attributes.owner == "mallory" };',
    })
    const error = outcome(engine, requestOf('orders/read', { object: { attributes: attributes as never } }))
    expect(error).toBeInstanceOf(PolicyDeniedError)
    expect(error).toMatchObject({ code: 'ERR_KEST_ENGINE', statusCode: 503, entryId: 'entry-1' })
    expect((error as PolicyDeniedError).reason).toMatch(message)
    const unread = { owner: 'bob', price: 1.5, parts: [null] } as never
    expect(engine.evaluate(requestOf('orders/read', { object: { attributes: unread } }))).toMatchObject({
      allow: true,
    })
  })

  it('NF-SEC-03 is none when a policy permits beside one that failed: that may have been what forbids', async () => {
    const engine = await load({
      policies: `@id("all") permit(principal, action, resource);
        @id("embargo") forbid(principal, action, resource) when { context.attributes.country == "XX" };`,
    })
    const error = outcome(engine, requestOf('orders/read'))
    expect(error).toMatchObject({ code: 'ERR_KEST_ENGINE', policies: ['orders/read'] })
    expect((error as PolicyDeniedError).reason).toMatch(/embargo: .*country/)
    const allowed = { object: { attributes: { country: 'DE' } } }
    expect(engine.evaluate(requestOf('orders/read', allowed))).toMatchObject({ allow: true })
  })

  it('NF-SEC-03 is none when the id of the object was withheld: a policy about that object may forbid', async () => {
    const engine = await load({
      policies: `permit(principal, action, resource);
        forbid(principal, action, resource == Resource::"secret");`,
    })
    const request = requestOf('orders/read', { object: { id: 'secret' } })
    expect(engine.evaluate(request)).toMatchObject({ allow: false })
    const cached = cacheDecisions(engine, { ignore: ['object.id'] })
    await expect(async () =>
      cached.evaluate(request, { signal: new AbortController().signal }),
    ).rejects.toMatchObject({
      code: 'ERR_KEST_ENGINE',
      reason: 'orders/read: object.id: it was withheld, and is the resource',
    })
  })

  it('is a denial when the policy that failed was the one to permit, and says so', async () => {
    const engine = await load({
      policies: 'permit(principal, action, resource) when { context.task == "t" };',
    })
    expect(engine.evaluate(requestOf('orders/read'))).toEqual({
      allow: false,
      reason: expect.stringMatching(/^orders\/read: no policy permits it; failed: policy0: .*task/),
    })
  })

  it('is that of the whole context, although policies get what they look at', async () => {
    const cedar = await loadCedar()
    const policies = `
      permit(principal, action, resource) when { context.attributes has a && context.attributes.a == 1 };
      permit(principal, action, resource) when { context.attributes has b.c && context.attributes.b.c.contains("x") };
      forbid(principal, action, resource) when { context has user && context.user == context.attributes.a };
      forbid(principal, action, resource) when { context.attributes.b == { c: ["x"] } };`
    const engine = await load({ policies })
    const leaf = fc.constantFrom<unknown>(
      1,
      2,
      'x',
      'alice',
      true,
      ['x'],
      ['y'],
      {},
      { c: ['x'] },
      { c: 1 },
      null,
    )
    const attributes = fc.dictionary(fc.constantFrom('a', 'b', 'z'), leaf, { maxKeys: 3 })
    const seen = new Set<unknown>()
    fc.assert(
      fc.property(attributes, fc.constantFrom(null, 'alice', 'x'), (attributes, user) => {
        const request = requestOf('p', { object: { attributes: attributes as never }, subject: { user } })
        const whole = cedar.isAuthorized({
          principal: { type: 'Workload', id: request.context.identity },
          action: { type: 'Action', id: 'p' },
          resource: { type: 'Resource', id: 'order/7' },
          context: flatContext(request.context) as never,
          policies: { staticPolicies: policies },
          entities: [],
        })
        if (whole.type === 'failure') throw new Error('the whole context is not Cedar')
        const { decision, diagnostics } = whole.response
        const failed = diagnostics.errors.length > 0
        const expected = decision === 'deny' ? 'deny' : failed ? 'none' : 'allow'
        const got = outcome(engine, request)
        const allowed = (got as { allow?: boolean }).allow === true
        seen.add(expected)
        expect(allowed ? 'allow' : got instanceof PolicyDeniedError ? 'none' : 'deny').toBe(expected)
      }),
      { numRuns: 1_000, seed: 5 },
    )
    expect([...seen].sort()).toEqual(['allow', 'deny', 'none'])
  })
})

describe('entities', () => {
  const entities = [
    {
      uid: { type: 'Workload', id: 'spiffe://kest.test/orders' },
      attrs: { level: 3 },
      parents: [{ type: 'Team', id: 'shop' }],
    },
    { uid: { type: 'Team', id: 'shop' }, attrs: {}, parents: [{ type: 'Team', id: 'all' }] },
    { uid: { type: 'Team', id: 'all' }, attrs: {}, parents: [] },
    {
      uid: { type: 'Config', id: 'main' },
      attrs: { owner: { __entity: { type: 'Team', id: 'owners' } } },
      parents: [],
    },
    { uid: { __entity: { type: 'Team', id: 'owners' } }, attrs: { open: true }, parents: [] },
    { uid: { type: 'Workload', id: 'other' }, attrs: {}, parents: [] },
  ]
  const policies = `permit(principal in Team::"all", action, resource)
    when { principal.level >= 3 && Config::"main".owner.open };`

  it.each<[string, () => CedarWasmOptions['entities']]>([
    ['a list', () => entities],
    ['their text', () => JSON.stringify(entities)],
    ['their file', () => ({ file: file('entities.json', JSON.stringify(entities)) })],
  ])('are given as %s: groups, attributes, and what those lead to', async (_, given) => {
    const engine = await load({ policies, entities: given() as never })
    expect(engine.evaluate(requestOf('p'))).toMatchObject({ allow: true })
    const without = await load({
      policies,
      entities: entities.filter(({ uid }) => (uid as { id?: string }).id !== 'shop'),
    })
    expect(without.evaluate(requestOf('p'))).toMatchObject({ allow: false })
  })

  it.each<[string, string, (owner: object) => object]>([
    ['owner in Group::"blocked"', '{ owner: User }', (owner) => ({ owner })],
    ['owner has barred', '{ owner: User }', (owner) => ({ owner })],
    ['owner.hasTag("barred")', '{ owner: User }', (owner) => ({ owner })],
    [
      'order.by.owner in Group::"blocked"',
      '{ order: { by: { owner: User } } }',
      (owner) => ({ order: { by: { owner } } }),
    ],
    [
      'owners == [User::"clerk"] || context.attributes.first.boss in Group::"blocked"',
      '{ owners: Set<User>, first: { boss: User } }',
      (owner) => ({ owners: [owner], first: { boss: owner } }),
    ],
  ])(
    'that the context names under a schema are known: forbidden when %s',
    async (condition, attributes, of) => {
      const mallory = { type: 'User', id: 'mallory' }
      const engine = await load({
        policies: `permit(principal, action, resource);
        forbid(principal, action, resource) when { context.attributes.${condition} };`,
        schema: [
          contextSchema(attributes),
          'entity Group; entity User in [Group] { barred?: Bool } tags String; entity Workload; entity Resource;',
          'action p appliesTo { principal: Workload, resource: Resource, context: KestContext };',
        ],
        entities: [
          {
            uid: mallory,
            attrs: { barred: true },
            tags: { barred: 'yes' },
            parents: [{ type: 'Group', id: 'blocked' }],
          },
          { uid: { type: 'User', id: 'alice' }, attrs: {}, parents: [] },
        ],
      })
      const ask = (owner: object) =>
        engine.evaluate(requestOf('p', { object: { attributes: of(owner) as never } }))
      expect(ask(mallory)).toMatchObject({ allow: false })
      expect(ask({ type: 'User', id: 'alice' })).toMatchObject({ allow: true })
    },
  )

  it('of a schema are its groups of actions', async () => {
    const engine = await load({ policies: 'permit(principal, action in Action::"reads", resource);', schema })
    expect(engine.evaluate(requestOf(['orders/read', 'orders/list']))).toMatchObject({ allow: true })
  })

  it.each<[string, unknown, RegExp]>([
    ['no JSON', '[', /entities: /],
    ['no list', '{}', /entities: expected a list/],
    ['no entities', [{ id: 'a' }], /entities: /],
    ['values that Cedar lacks', [{ ...entities[0], attrs: { level: 1.5 } }], /entities: /],
    ['twice the same', [...entities, entities[1]], /Team::"shop"|duplicate/],
  ])('are refused when they are %s', async (_, given, message) => {
    await expect(CedarWasmEngine.load({ policies, entities: given as never })).rejects.toThrow(message)
    await expect(CedarWasmEngine.load({ policies, entities: given as never })).rejects.toThrow(
      KestConfigError,
    )
  })

  it('are refused when they do not fit the schema', async () => {
    const wrong = [{ uid: { type: 'Workload', id: 'w' }, attrs: { level: 'high' }, parents: [] }]
    await expect(CedarWasmEngine.load({ policies: read, schema, entities: wrong })).rejects.toThrow(/level/)
  })
})

describe('policies', () => {
  it('come from text, files and URLs, and are called by their annotation or their place', async () => {
    const forbid = (condition: string) => `forbid(principal, action, resource) when { ${condition} };\n`
    const engine = await load({
      policies: [
        { file: file('read.cedar', read) },
        pathToFileURL(
          file('more.cedar', forbid('context.user == "eve"') + forbid('context.user == "mallory"')),
        ),
        Array.from({ length: 9 }, (_, i) => forbid(`context.user == "user${i}"`)).join(''),
      ],
    })
    const by = (user: string) => engine.evaluate(requestOf('orders/read', { subject: { user } }))
    expect(by('alice')).toMatchObject({ allow: true })
    for (const [user, id] of [
      ['eve', 'policy2'],
      ['mallory', 'policy3'],
      ['user0', 'policy4'],
      ['user8', 'policy12'],
    ] as const) {
      expect(by(user)).toEqual({ allow: false, reason: `orders/read: forbidden by ${id}` })
    }
  })

  it.each<[string, () => CedarWasmOptions, RegExp]>([
    [
      'that are no Cedar, with line and column',
      () => ({ policies: 'permit(principal, action, resource)\n  when { "é" == context.user == };' }),
      /^policies:2:\d+: .*unexpected token/,
    ],
    [
      'that are no Cedar, with their file',
      () => ({ policies: [read, { file: file('broken.cedar', 'permit(') }] }),
      /broken\.cedar(:1:\d+)?: /,
    ],
    [
      'of a file that is not there',
      () => ({ policies: { file: join(folder, 'none.cedar') } }),
      /none\.cedar: ENOENT/,
    ],
    ['of which there are none', () => ({ policies: '// nothing here\n' }), /there is no policy/],
    ['that are called the same', () => ({ policies: read + read }), /two policies are called "readers"/],
    [
      'that are templates',
      () => ({ policies: 'permit(principal == ?principal, action, resource);' }),
      /templates are not supported/,
    ],
    [
      'that do not fit the schema',
      () => ({
        policies: `${read} @id("typo") permit(principal, action, resource) when { context.trust >= 1 };`,
        schema,
      }),
      /policy "typo": .*trust/,
    ],
    [
      'that never hold under the schema',
      () => ({
        policies: `${read} @id("never") permit(principal, action == Action::"reads", resource);`,
        schema,
      }),
      /policy "never": /,
    ],
    ['beside a schema that is none', () => ({ policies: read, schema: 'entity ;' }), /^schema:1:\d+: /],
    [
      'with an option that there is not',
      () => ({ policies: read, policy: '' }) as never,
      /unknown option "policy"/,
    ],
    ['by no options', () => undefined as never, /expected an object of options/],
    ['without any', () => ({}) as never, /policies: required/],
    ['of another kind', () => ({ policies: 7 }) as never, /policies: expected text/],
  ])('are refused %s', async (_, options, message) => {
    const loading = CedarWasmEngine.load(options())
    await expect(loading).rejects.toThrow(KestConfigError)
    await expect(loading).rejects.toThrow(message)
  })

  it('under a schema decide nothing that it does not declare', async () => {
    const engine = await load({ policies: 'permit(principal, action, resource);', schema })
    expect(engine.evaluate(requestOf('orders/read'))).toMatchObject({ allow: true })
    expect(engine.evaluate(requestOf('orders/raed'))).toEqual({
      allow: false,
      reason: expect.stringContaining('Action::"orders/raed" is not in the schema'),
    })
  })

  it('NF-SEC-03 under a schema decide no request that does not fit it', async () => {
    const engine = await load({
      policies: `permit(principal, action, resource);
        forbid(principal, action, resource) when { context.attributes has owner && context.attributes.owner == "alice" };`,
      schema,
    })
    const ask = (owner: unknown) =>
      outcome(engine, requestOf('orders/read', { object: { attributes: { owner, more: 1.5 } as never } }))
    expect([ask('bob'), ask('alice')]).toMatchObject([{ allow: true }, { allow: false }])
    for (const owner of [['alice'], 5, { name: 'alice' }]) {
      expect(ask(owner)).toMatchObject({ code: 'ERR_KEST_ENGINE', statusCode: 503 })
    }
    expect(outcome(engine, requestOf('reads'))).toMatchObject({ code: 'ERR_KEST_ENGINE' })
    const others = await load({
      policies: 'permit(principal, action, resource);',
      schema:
        'entity Workload; entity Other; entity Resource; action p appliesTo { principal: Other, resource: Resource };',
    })
    expect(outcome(others, requestOf('p'))).toMatchObject({ code: 'ERR_KEST_ENGINE' })
  })

  it.each([
    { type: 'Workload', id: 'spiffe://kest.test/orders' },
    { __entity: { type: 'Workload', id: 'spiffe://kest.test/orders' } },
  ])('under a schema mean by %j an entity when they decide, too', async (author) => {
    const engine = await load({
      policies: `permit(principal, action, resource);
          forbid(principal, action, resource) when { resource has author && resource.author == principal };`,
      schema:
        'entity Workload; entity Resource { author?: Workload, ip?: ipaddr }; action p appliesTo { principal: Workload, resource: Resource };',
      entities: [
        { uid: { type: 'Resource', id: 'order/7' }, attrs: { author, ip: '127.0.0.1' }, parents: [] },
      ],
    })
    expect(engine.evaluate(requestOf('p'))).toMatchObject({ allow: false })
    expect(engine.evaluate(requestOf('p', { object: { id: 'order/8' } }))).toMatchObject({ allow: true })
  })

  it('under a schema need what it declares, of what was withheld too, unless that is optional', async () => {
    const declared = (...optional: string[]) => [
      contextSchema('{ owner?: String }', optional),
      ...schema.slice(1),
    ]
    const policies = 'permit(principal, action, resource);'
    const withheld = requestOf('orders/read')
    const { parent_hash: _, ...environment } = withheld.context.environment
    const request = { ...withheld, context: { ...withheld.context, environment } } as PolicyRequest
    expect(outcome(await load({ policies, schema: declared() }), request)).toMatchObject({
      code: 'ERR_KEST_ENGINE',
    })
    expect(outcome(await load({ policies, schema: declared('parent_hash') }), request)).toMatchObject({
      allow: true,
    })
    expect(() => contextSchema('{}', ['parents'])).toThrow(KestConfigError)
  })

  it('of one engine are not those of another, and are gone when it is closed', async () => {
    const open = await load({ policies: 'permit(principal, action, resource);' })
    const shut = await load({ policies: 'forbid(principal, action, resource);' })
    expect([open, shut].map((engine) => engine.evaluate(requestOf('p')).allow)).toEqual([true, false])
    open.close()
    open.close()
    expect(outcome(open, requestOf('p'))).toMatchObject({ code: 'ERR_KEST_ENGINE' })
    expect(shut.evaluate(requestOf('p'))).toMatchObject({ allow: false })
  })

  it('are not those of another copy of the package, with which Cedar itself is shared', async () => {
    const shut = await load({ policies: 'forbid(principal, action, resource);' })
    vi.resetModules()
    const copy = await import('../src/index.js')
    expect(copy.CedarWasmEngine).not.toBe(CedarWasmEngine)
    const open = await copy.CedarWasmEngine.load({ policies: 'permit(principal, action, resource);' })
    onTestFinished(() => open.close())
    expect([open, shut].map((engine) => engine.evaluate(requestOf('p')).allow)).toEqual([true, false])
  })
})

describe('contextSchema', () => {
  it('describes the flat context, of a request with everything and of one with little', async () => {
    const cedar = await loadCedar()
    const deviation = { policy: 'p', tier: 'platform', reason: 'r', approver: 'a' }
    const much = contextOf({
      subject: { agent: 'a', task: 't' },
      object: { attributes: { owner: 'alice' } },
      environment: { active_deviations: [deviation] },
    })
    const little = contextOf({ subject: { user: null, identity_by: null, taints: [] } })
    for (const context of [much, little]) {
      const parsed = cedar.checkParseContext({
        context: flatContext(context) as never,
        schema: schema.join('\n'),
        action: { type: 'Action', id: 'orders/read' },
      })
      expect(parsed).toEqual({ type: 'success' })
    }
  })
})
