# What may be asked of OPA itself (--authorization=basic): decisions, and whether it is well. Policies change by these
# files alone; without this, anybody who reaches OPA could replace them by its REST API. Questions have no parameter but
# `provenance`, by which OPA says which bundles a decision has come from: `explain` would tell what is in the policies, and
# `instrument` and its like make OPA work for it.
package system.authz

default allow := false

allow if {
	input.method == "GET"
	input.path == ["health"]
}

allow if {
	input.method == "POST"
	["v1", "data"] == array.slice(input.path, 0, 2)
	count(input.path) > 2
	input.path[2] != "system"
	input.params in [{}, {"provenance": ["true"]}]
}
