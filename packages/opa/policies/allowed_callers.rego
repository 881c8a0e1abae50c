package kest

# METADATA
# title: Allowed callers
# description: |
#   Whoever acted last, by the verified lineage, may call this. Where an operation begins a lineage there is no caller, which
#   is allowed only if `roots` says so. A lineage that comes with several ends has no last: whose entry comes last in it, its
#   sender chose. It is denied.
#
#   Reads `lineage.principals` (verified entries only), `environment.is_root`, `environment.parent_hash` and `object.id`.
#
#   Parameters, `data.kest.parameters.allowed_callers`:
#     callers     principals; one that ends with /* stands for all below it
#     operations  principals for an object of this id, instead; may be left out
#     roots       whether operations without a caller are allowed; default false
# entrypoint: true
default allowed_callers := {"allow": false, "reason": "allowed callers: there is no caller"}

allowed_callers if {
	input.environment.is_root
	data.kest.parameters.allowed_callers.roots == true
} else if {
	not contains(input.environment.parent_hash, ",")
	is_string(input.environment.parent_hash)
	some pattern in callers_wanted
	is_caller(last_principal, pattern)
} else := {"allow": false, "reason": "allowed callers: the lineage has several ends"} if {
	contains(input.environment.parent_hash, ",")
} else := {"allow": false, "reason": concat("", ["allowed callers: not ", last_principal])} if {
	last_principal
}

last_principal := input.lineage.principals[count(input.lineage.principals) - 1]

callers_wanted := object.get(
	object.get(data.kest.parameters.allowed_callers, "operations", {}),
	input.object.id,
	object.get(data.kest.parameters.allowed_callers, "callers", []),
)

is_caller(principal, pattern) if principal == pattern

is_caller(principal, pattern) if {
	endswith(pattern, "/*")
	startswith(principal, trim_suffix(pattern, "*"))
}
