/** A registration, as `spire-server entry create` and `entry update` take it. */
export interface Registration {
  readonly id: string
  readonly args: readonly string[]
}

interface Entry {
  readonly entry_id: string
  readonly parent_id: string
  readonly spiffe_id: string
  readonly selectors: readonly { readonly type: string; readonly value: string }[]
}

/**
 * Reads registrations in the form that `spire-server entry create -data` takes.
 * @param ttlSeconds life of their SVIDs; default the server's
 */
export function registrationsOf(text: string, ttlSeconds: number | undefined): Registration[] {
  const { entries } = JSON.parse(text) as { readonly entries: readonly Entry[] }
  return entries.map(({ entry_id, parent_id, spiffe_id, selectors }) => ({
    id: spiffe_id,
    args: [
      ...['-entryID', entry_id, '-parentID', parent_id, '-spiffeID', spiffe_id],
      ...selectors.flatMap(({ type, value }) => ['-selector', `${type}:${value}`]),
      ...(ttlSeconds === undefined ? [] : ['-x509SVIDTTL', String(ttlSeconds)]),
    ],
  }))
}
