import { type KestEntry, LABEL, parseRevision, parseRevisionsLabel } from '@kest/core'
import { visible } from '../terminal/escape.js'

/** Which texts of policies decided, tier by tier, with what is only a name told apart; empty where the entry does not say it as it should. */
export function decidedByLines({ labels }: KestEntry): readonly string[] {
  const label = labels[LABEL.revisions]
  const revisions = label === undefined ? undefined : parseRevisionsLabel(label)
  if (revisions === undefined) return []
  return [...revisions].flatMap(([tier, list]) =>
    list.map((revision) => `${tier}: ${revisionText(revision)}`),
  )
}

/** A digest is of one text; of anything else only its author knows how many texts have had it. */
export function revisionText(revision: string): string {
  return parseRevision(revision)?.isDigest === true ? visible(revision) : `${visible(revision)} (a name)`
}
