import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { root } from '../../scripts/workspace.mjs'
import { type Manifest, pack, packagesIn } from '../support/packed.js'
import { run } from '../support/run.js'

/** Serves the packages of this tree, packed, as a registry does. */
export interface Registry {
  /** For npm: packages of the scope come from here, all others from where they always do. */
  readonly env: Readonly<Record<string, string>>
  readonly names: readonly string[]
  close(): void
}

/** @param folder an empty one, for the tarballs */
export async function startRegistry(folder: string): Promise<Registry> {
  const versions = new Map<string, { manifest: Manifest; file: string; integrity: string }>()
  const packages = packagesIn(folder)
  await pack(packages, folder)
  for (const { tarball: file } of packages) {
    const manifest = JSON.parse(await run('tar', ['-xzOf', file, 'package/package.json'], root)) as Manifest
    const digest = createHash('sha512')
      .update(await readFile(file))
      .digest('base64')
    versions.set(manifest.name, { manifest, file, integrity: `sha512-${digest}` })
  }

  const server = createServer((request, response) => {
    const [name = '', tarball] = decodeURIComponent((request.url ?? '').slice(1)).split('/-/')
    const found = versions.get(name)
    if (found === undefined) {
      response.writeHead(404).end()
    } else if (tarball !== undefined) {
      createReadStream(found.file).pipe(response)
    } else {
      const { manifest, integrity } = found
      const { version } = manifest
      const dist = { tarball: `${url()}${name}/-/${version}.tgz`, integrity }
      const versionsOfIt = { [version]: { ...manifest, dist } }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions: versionsOfIt }))
    }
  })
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    env: { 'npm_config_@kest:registry': url() },
    names: [...versions.keys()],
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
