# What hop1, the edge, asks before it lets a user's request in.
package hop1

# METADATA
# description: Nobody's word has lowered its trust or tainted it yet.
# entrypoint: true
users_may_start if {
	input.trust_score >= 40
	count(input.subject.taints) == 0
}
