import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock, RecordingLogger } from '@kest/core/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeAuthority, until } from '../../tests/support/material.js'
import type { Authority } from '../dev-authority/authority.js'
import { watchBundleFile } from './bundle-file.js'
import type { PolledBundleSource } from './polled-bundle.js'

let directory: string
let path: string
let one: Authority
let other: Authority
let source: PolledBundleSource | undefined
const options = { trustDomain: 'example.org', intervalMs: 10, logger: new RecordingLogger() }

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kest-bundle-'))
  path = join(directory, 'bundle')
  ;[one, other] = await Promise.all([makeAuthority(), makeAuthority()])
  source = undefined
})

afterEach(async () => {
  await source?.close()
  await rm(directory, { recursive: true, force: true })
})

function json(...authorities: readonly Authority[]): string {
  const keys = authorities.map(({ root, rootKeys }) => ({
    ...rootKeys.publicKey.export({ format: 'jwk' }),
    use: 'x509-svid',
    x5c: [Buffer.from(root).toString('base64')],
  }))
  return JSON.stringify({ keys })
}

function pem({ root }: Authority): string {
  return `-----BEGIN CERTIFICATE-----\n${Buffer.from(root).toString('base64')}\n-----END CERTIFICATE-----\n`
}

describe('a bundle in a file', () => {
  it('is followed, as JSON or PEM, and answers for its own domain alone', async () => {
    await writeFile(path, json(one))
    source = await watchBundleFile(path, options)
    const { generation } = source
    expect(source.getX509Bundle('example.org')?.has(one.root)).toBe(true)
    expect(source.getX509Bundle('other.org')).toBeUndefined()
    await writeFile(`${path}.new`, pem(other))
    await rename(`${path}.new`, path)
    await until(() => source?.getX509Bundle('example.org')?.has(other.root) === true)
    expect(source.getX509Bundle('example.org')?.has(one.root)).toBe(false)
    expect(source.generation).toBeGreaterThan(generation)
  })

  it('keeps its generation while it stays the same', async () => {
    await writeFile(path, json(one))
    source = await watchBundleFile(path, options)
    const { generation } = source
    await until(() => (source?.status().updates ?? 0) > 3)
    expect(source.generation).toBe(generation)
  })

  it('is withdrawn by an empty list of keys', async () => {
    await writeFile(path, json(one))
    source = await watchBundleFile(path, options)
    await writeFile(path, '{"keys":[]}')
    await until(() => source?.getX509Bundle('example.org')?.authorities.length === 0)
  })

  it.each([
    ['malformed', async () => await writeFile(path, '{"keys":'), 'ERR_SPIFFE_BUNDLE'],
    ['gone', async () => await rm(path), 'ERR_SPIFFE_UNAVAILABLE'],
  ])('that is %s stays as it was, stale, and no longer than allowed', async (_name, spoil, code) => {
    await writeFile(path, json(one))
    const clock = new FakeClock()
    source = await watchBundleFile(path, { ...options, clock, maxStaleMs: 200 })
    await spoil()
    await until(() => source?.status().staleSince !== null)
    expect(source.status().error?.code).toBe(code)
    expect(source.getX509Bundle('example.org')?.has(one.root)).toBe(true)
    clock.advance(201)
    expect(() => source?.getX509Bundle('example.org')).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_STALE' }),
    )
    await writeFile(path, json(other))
    await until(() => source?.status().staleSince === null)
    expect(source.getX509Bundle('example.org')?.has(other.root)).toBe(true)
  })

  it.each([
    ['a device without an end', (path: string) => symlink('/dev/zero', path)],
    ['more than a bundle has', (path: string) => writeFile(path, Buffer.alloc(4 * 1024 * 1024 + 1, ' '))],
  ])('that was replaced by %s is stale, and is not read to its end', async (_, replace) => {
    await writeFile(path, json(one))
    source = await watchBundleFile(path, options)
    await replace(`${path}.new`)
    await rename(`${path}.new`, path)
    await until(() => typeof source?.status().staleSince === 'number')
    expect(source.status().error?.message).toMatch(/no regular file|more than 4194304 bytes/)
    expect(source.getX509Bundle('example.org')?.has(one.root)).toBe(true)
    await writeFile(`${path}.new`, json(other))
    await rename(`${path}.new`, path)
    await until(() => source?.getX509Bundle('example.org')?.has(other.root) === true)
  })

  it('that is not there is waited for, as long as allowed', async () => {
    await expect(watchBundleFile(path, { ...options, connectTimeoutMs: 100 })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_TIMEOUT',
      cause: { code: 'ERR_SPIFFE_UNAVAILABLE' },
    })
    const watching = watchBundleFile(path, options)
    await writeFile(path, json(one))
    source = await watching
  })

  it('refuses options that are wrong', () => {
    expect(() => watchBundleFile(path, { ...options, intervalMs: 0 })).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_CONFIG' }),
    )
    expect(() => watchBundleFile(path, { ...options, trustDomain: 'Example.org' })).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_TRUST_DOMAIN' }),
    )
  })

  it('closes as often as one likes', async () => {
    await writeFile(path, json(one))
    source = await watchBundleFile(path, options)
    source.close()
    source.close()
    expect(() => source?.getX509Bundle('example.org')).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_CLOSED' }),
    )
  })
})
