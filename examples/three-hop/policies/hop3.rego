# What hop3 asks.
package hop3

# METADATA
# description: It is two hops away from a user.
# entrypoint: true
two_hops_away if {
	input.lineage.depth == 2
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
