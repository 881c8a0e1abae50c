import { readFileSync } from 'node:fs'
import { validate } from 'dockerfile-utils'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { configurationFile } from '../src/files.js'

const text = readFileSync(configurationFile('Dockerfile'), 'utf8')
const stages = [...text.matchAll(/^FROM (\S+) AS (\S+)$/gm)].map(([, from, name]) => ({ from, name }))

describe('docker/Dockerfile', () => {
  it('is one that the linter has nothing against', () => {
    expect(validate(text)).toEqual([])
    expect(validate(text.replace('WORKDIR', 'WORKDR'))).not.toEqual([])
  })

  it('builds on images of one version', () => {
    const names = stages.map(({ name }) => name)
    const bases = new Set(stages.map(({ from }) => from).filter((from) => !names.includes(from)))
    // `scratch` is nothing.
    expect([...bases]).toEqual([
      'ghcr.io/spiffe/spire-server:1.15.3',
      'node:22.23.3-bookworm-slim',
      'scratch',
    ])
  })

  it('has the stages that compose builds', () => {
    const { services } = parse(readFileSync(configurationFile('compose.yaml'), 'utf8'), { merge: true })
    const targets = Object.values(services as Record<string, { build?: { target: string } }>).flatMap(
      ({ build }) => build?.target ?? [],
    )
    expect(new Set(targets)).toEqual(new Set(['registration', 'services']))
    expect(stages.map(({ name }) => name)).toEqual(expect.arrayContaining(targets))
  })

  it('runs as somebody without privileges, in every image that is run', () => {
    for (const target of ['demonstration', 'kest', 'registration', 'services']) {
      const stage = text.split(/^FROM /m).find((part) => part.includes(` AS ${target}\n`)) ?? ''
      expect(/^USER (\S+)$/m.exec(stage)?.[1], target).toMatch(/^(node|[1-9]\d*:[1-9]\d*)$/)
    }
  })

  it('says of each image what it is, of which version, and by what licence', () => {
    const { version, license } = JSON.parse(readFileSync(configurationFile('../package.json'), 'utf8'))
    expect(text).toContain(`org.opencontainers.image.version="${version}"`)
    expect(text).toContain(`org.opencontainers.image.licenses="${license}"`)
    for (const target of ['demonstration', 'kest', 'registration', 'services']) {
      const [stage = ''] = text.split(/^FROM /m).filter((part) => part.includes(` AS ${target}\n`))
      expect(stage).toMatch(/^run AS .*\nLABEL org\.opencontainers\.image\.title="[\w-]+"$/m)
    }
  })

  it('deploys the package whose programs compose runs, by the package manager of the repository', () => {
    const { packageManager } = JSON.parse(readFileSync(configurationFile('../package.json'), 'utf8'))
    expect(text).toContain(
      `npx -y ${packageManager} --filter @kest/lab --config.inject-workspace-packages=true deploy --prod /images/kest/srv/kest`,
    )
  })
})
