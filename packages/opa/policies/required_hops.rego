package kest

# METADATA
# title: Required hops
# description: |
#   Some principals have acted before, each for the first time after the one before it in the list; others may have acted in
#   between. Of entries that do not build on one another the order is the sender's choice: that a principal acted after another
#   does not say that it has seen what that one did.
#
#   Reads `lineage.principals` (verified entries only) and `object.id`.
#
#   Parameters, `data.kest.parameters.required_hops`:
#     principals  in order; may be left out if `operations` is there
#     operations  principals, in order, for an object of this id, instead; may be left out
# entrypoint: true
default required_hops := {"allow": false, "reason": "no hops are named: data.kest.parameters.required_hops"}

required_hops if {
	count(required_principals) > 0
	in_order(required_principals, input.lineage.principals)
} else := {"allow": false, "reason": concat("", ["required, in this order: ", concat(", ", required_principals)])} if {
	count(required_principals) > 0
}

required_principals := object.get(
	object.get(data.kest.parameters.required_hops, "operations", {}),
	input.object.id,
	object.get(data.kest.parameters.required_hops, "principals", []),
)

# Nobody acts before the one whom the list has before him.
in_order(wanted, principals) if {
	firsts := [min(places) |
		some principal in wanted
		places := [i | some i, other in principals; other == principal]
		count(places) > 0
	]
	count(firsts) == count(wanted)
	firsts == sort(firsts)
	count({place | some place in firsts}) == count(firsts)
}
