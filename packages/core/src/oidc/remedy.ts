import { KEY_AUDIENCE } from './vouching.js'

/** What an operator does about a token that vouches for another key, or for none: by platform (K-OIDCID). */
export function remedyFor(kid: string): string {
  const audience = `${KEY_AUDIENCE}${kid}`
  return [
    `Have a token issued whose sole audience is ${audience} (or whose cnf.jkt is ${kid}).`,
    'Kubernetes: ask the TokenRequest API for it (spec.audiences), or mount a key, give it as privateKey, and set this audience in',
    'serviceAccountToken.audience of the projected volume.',
    'GitHub Actions: add &audience=<it> to ACTIONS_ID_TOKEN_REQUEST_URL.',
    'GCP: ask the metadata server, instance/service-accounts/default/identity?audience=<it>.',
    'A key that this process made has another audience in each process: only a function as token can ask for that.',
  ].join(' ')
}
