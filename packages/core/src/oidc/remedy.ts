import { KEY_AUDIENCE } from './vouching.js'

/** What an operator does about a token that vouches for another key, or for none: by platform (K-OIDCID). */
export function remedyFor(kid: string): string {
  const audience = `${KEY_AUDIENCE}${kid}`
  return [
    `Have a token issued whose sole audience is ${audience} (or whose cnf.jkt is ${kid}).`,
    'Kubernetes: ask the TokenRequest API for it (spec.audiences), or mount a key, give it as privateKey, and set this audience in',
    'serviceAccountToken.audience of the projected volume.',
    'GitHub Actions: leave token out, and give the job permissions: { id-token: write }.',
    'GCP: ask the metadata server, instance/service-accounts/default/identity?audience=<it>.',
    'A key that this process made has another audience in each process: a function as token asks for that, or a sidecar that reads',
    'the audience in audienceFile (KEST_OIDC_AUDIENCE_PATH) and writes the token.',
  ].join(' ')
}
