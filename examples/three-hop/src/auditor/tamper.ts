import { Passport } from '@kest/core'

/** One byte of what an entry says: trust 40 becomes trust 90. Its signature stays. */
export function withByteChanged({ entries }: Passport, index: number): Passport {
  const [header, payload, signature] = entries[index]!.split('.')
  const text = Buffer.from(payload!, 'base64url').toString()
  const changed = text.replace('"trust_score":4', '"trust_score":9')
  return new Passport(
    entries.with(index, `${header}.${Buffer.from(changed).toString('base64url')}.${signature}`),
  )
}

/** One entry taken out. */
export function withoutEntry({ entries }: Passport, index: number): Passport {
  return new Passport(entries.toSpliced(index, 1))
}

/** The last entries cut off, from `index` on. */
export function withoutTail({ entries }: Passport, index: number): Passport {
  return new Passport(entries.slice(0, index))
}
