# What hop3 asks.
package hop3

# METADATA
# description: |
#   hop2 asks it, for a request that hop1 let in, by the verified lineage. Who is in it counts, not how many: two entries
#   can be anybody's.
# entrypoint: true
from_hop1_by_hop2 if {
	input.lineage.principals == ["spiffe://example.org/hop1", "spiffe://example.org/hop2"]
	input.trust_score >= 40
}

# METADATA
# description: |
#   For some of its answers it asks for more trust than a user's request has. A decision may come with its reason, which is
#   for the log and the span, never for the client.
# entrypoint: true
confidential := {
	"allow": input.trust_score >= 80,
	"reason": "what is confidential asks for a trust of 80",
}
