import { X509Certificate } from 'node:crypto'
import { canonicalize, LABEL, type Signer } from '@kest/core'
import type { SPIREProvider } from '@kest/spiffe'
import { Agent } from 'undici'
import { none, refused } from '../outcome.js'
import {
  denialOn,
  entryOn,
  type Forged,
  headerOf,
  hopToken,
  macText,
  payloadOn,
  signText,
} from '../support/forge.js'
import type { Mallory } from '../support/mallory.js'
import { everywhere, type Group, NOT_THE_SENDERS, type Play } from './attack.js'

const HOP1 = { labels: { [LABEL.principal]: 'spiffe://example.org/hop1' } }

/** Puts beside a genuine entry of its own something else that it has signed. */
function besideItsEntry(what: (mallory: Mallory, first: Forged) => string): Play {
  return async (mallory) => {
    const { root } = await mallory.isCalled()
    const first = entryOn(mallory.signer, [root])
    return mallory.sends([root, first.jws, what(mallory, first)], { tips: [first.hash] })
  }
}

/** Builds on what it got what `how` answers, and on that a genuine entry of its own, so that it may send it. */
function signing(how: (mallory: Mallory, root: string) => string): Play {
  return async (mallory) => {
    const { root } = await mallory.isCalled()
    const made = how(mallory, root)
    return mallory.sends([root, made, entryOn(mallory.signer, [made]).jws])
  }
}

const underHeader = (header: (mallory: Mallory, root: string) => object): Play =>
  signing((mallory, root) => {
    const text = canonicalize(payloadOn(mallory.signer, [root], HOP1))
    return signText(mallory.signer, text, header(mallory, root)).jws
  })

const signedBy = (who: (mallory: Mallory) => SPIREProvider): Play =>
  signing((mallory, root) => entryOn(who(mallory).current(), [root]).jws)

function publicJwkOf({ header: { x5c = [] } }: Signer): object {
  return certificateOf(x5c).publicKey.export({ format: 'jwk' })
}

function certificateOf(x5c: readonly string[]): X509Certificate {
  return new X509Certificate(Buffer.from(x5c[0] as string, 'base64'))
}

/** A client that shows a certificate and takes any: that of the receiver is not its concern. */
function clientOf({ source }: SPIREProvider): Agent {
  const { certificates, privateKey } = source.current()
  const cert = certificates.map((der) => new X509Certificate(der).toString()).join('\n')
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' })
  return new Agent({ connect: { cert, key, rejectUnauthorized: false } })
}

export const KEYS: Group = {
  title: 'Keys',
  attacks: [
    {
      attack: "signs in another's name with a certificate of its own",
      ...everywhere(refused('ERR_KEST_CERTIFICATE')),
      why: 'the SPIFFE ID of the leaf is the principal',
      play: underHeader(() => ({})),
    },
    {
      attack: "signs in another's name under the other's certificate",
      ...everywhere(refused('ERR_KEST_SIGNATURE')),
      why: "the key is the leaf's",
      play: underHeader((_, root) => headerOf(root)),
    },
    {
      attack: "signs in another's name and brings the key in the header",
      ...everywhere(refused('ERR_KEST_KEY_UNKNOWN')),
      why: '`jwk`, `jku` and `x5u` are never looked at',
      play: underHeader(({ signer }) => ({ x5c: undefined, jwk: publicJwkOf(signer), kid: 'hop1' })),
    },
    {
      attack: "signs in another's name under an authority of its own making",
      ...everywhere(refused('ERR_KEST_CERTIFICATE')),
      why: 'the chain must lead to the bundle of the domain',
      play: signedBy(({ house }) => house.world.untrusted.hop1),
    },
    {
      attack: 'signs as a workload of a trust domain that nobody knows',
      ...everywhere(refused('ERR_KEST_KEY_UNKNOWN')),
      why: 'there is no bundle for it',
      play: signedBy(({ house }) => house.world.untrusted.stranger),
    },
    {
      attack: 'shows itself as another by a certificate of its own making',
      none,
      hop: NOT_THE_SENDERS,
      mtls: refused('TLS'),
      why: 'the sender is judged by the same bundles',
      play: async (mallory) => {
        const { passport } = await mallory.isCalled()
        const { hop1 } = mallory.house.world.untrusted
        const by = mallory.house.binding === 'mtls' ? { by: mallory.house.ends(clientOf(hop1)) } : {}
        return mallory.sends(passport, { signer: hop1.current(), ...by })
      },
    },
    {
      attack: 'connects without a certificate',
      none,
      hop: none,
      mtls: refused('TLS'),
      why: 'nobody without an SVID gets in',
      play: async (mallory) => {
        const { passport } = await mallory.isCalled()
        const by = mallory.house.ends(new Agent({ connect: { rejectUnauthorized: false } }))
        return mallory.sends(passport, { by })
      },
    },
    {
      attack: '`alg: none`',
      ...everywhere(refused('ERR_KEST_ALG')),
      why: 'the list of algorithms is closed',
      play: underHeader(() => ({ alg: 'none' })),
    },
    {
      attack: 'HMAC keyed with the public key',
      ...everywhere(refused('ERR_KEST_ALG')),
      why: 'the list of algorithms is closed',
      play: signing((mallory, root) => {
        const { x5c } = mallory.signer.header
        const key = certificateOf(x5c ?? []).publicKey.export({ format: 'der', type: 'spki' })
        const text = canonicalize(payloadOn(mallory.signer, [root]))
        return macText(key, text, { alg: 'HS256', typ: 'JWS', x5c }).jws
      }),
    },
    {
      attack: "names another algorithm than its key's",
      ...everywhere(refused('ERR_KEST_ALG')),
      why: 'the key decides the algorithm',
      play: signing((mallory, root) => {
        const text = canonicalize(payloadOn(mallory.signer, [root]))
        return signText(mallory.signer, text, { alg: 'PS256' }).jws
      }),
    },
    {
      attack: 'puts a hop token among the entries',
      ...everywhere(refused('ERR_KEST_ENTRY_HEADER')),
      why: 'what is signed for one purpose is nothing for another',
      play: besideItsEntry(({ signer, origin }, { hash }) => hopToken(signer, origin, [hash])),
    },
    {
      attack: 'puts a denial that it has signed among the entries',
      ...everywhere(refused('ERR_KEST_ENTRY_HEADER')),
      why: 'the same: what was refused is no operation',
      play: besideItsEntry(({ signer }, { jws }) => denialOn(signer, [jws]).jws),
    },
    {
      attack: 'puts one among them under the `typ` of an entry',
      ...everywhere(refused('ERR_KEST_ENTRY_SCHEMA')),
      why: 'it has not the members of an entry',
      play: besideItsEntry(({ signer }, { jws }) => denialOn(signer, [jws], 'JWS').jws),
    },
  ],
}
