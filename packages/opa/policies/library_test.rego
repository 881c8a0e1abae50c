package kest_test

import data.kest

denied(decision) if decision.allow == false

# Forbidden taints

tainted(taints, classification) := {"subject": {"taints": taints}, "environment": {"classification": classification}}

unwanted := {"taints": ["malware"], "classifications": {"payment": ["user_input"]}}

test_no_forbidden_taint if {
	kest.forbidden_taints == true with input as tainted(["user_input"], "system")
		with data.kest.parameters.forbidden_taints as unwanted
}

test_a_forbidden_taint if {
	kest.forbidden_taints == {"allow": false, "reason": "tainted: malware"} with input as tainted(["malware", "x"], "system")
		with data.kest.parameters.forbidden_taints as unwanted
}

test_a_taint_forbidden_for_a_classification if {
	denied(kest.forbidden_taints) with input as tainted(["user_input"], "payment")
		with data.kest.parameters.forbidden_taints as unwanted
}

test_forbidden_taints_without_parameters if {
	denied(kest.forbidden_taints) with input as tainted([], "system")
	denied(kest.forbidden_taints) with input as tainted([], "system") with data.kest.parameters.forbidden_taints as {"taints": []}
}

# Required hops

came(principals, id) := {"lineage": {"principals": principals}, "object": {"id": id}}

hops := {"principals": ["a", "b"], "operations": {"pay": ["a", "c", "b"]}}

test_required_hops_in_order if {
	every principals in [["a", "b"], ["x", "a", "y", "b"], ["a", "b", "a"]] {
		kest.required_hops == true with input as came(principals, "read") with data.kest.parameters.required_hops as hops
	}
}

test_required_hops_out_of_order if {
	every principals in [[], ["a"], ["b"], ["b", "a"], ["b", "a", "b"]] {
		denied(kest.required_hops) with input as came(principals, "read") with data.kest.parameters.required_hops as hops
	}
}

test_required_hops_of_an_object if {
	denied(kest.required_hops) with input as came(["a", "b"], "pay") with data.kest.parameters.required_hops as hops
	kest.required_hops == true with input as came(["a", "c", "b"], "pay") with data.kest.parameters.required_hops as hops
}

test_required_hops_without_parameters if {
	denied(kest.required_hops) with input as came(["a", "b"], "read")
	denied(kest.required_hops) with input as came(["a", "b"], "read") with data.kest.parameters.required_hops as {"principals": []}
}

# Bell-LaPadula

confidentiality := {"levels": ["public", "internal", "secret"], "clearances": {"clerk": "internal", "odd": "unheard of"}}

reads(workload, classification) := {"subject": {"workload": workload}, "environment": {"classification": classification}}

test_no_read_up if {
	every classification in ["public", "internal"] {
		kest.no_read_up == true with input as reads("clerk", classification)
			with data.kest.parameters.confidentiality as confidentiality
	}
	denied(kest.no_read_up) with input as reads("clerk", "secret") with data.kest.parameters.confidentiality as confidentiality
}

test_no_read_up_by_whoever_is_not_known if {
	every workload in ["stranger", "odd"] {
		denied(kest.no_read_up) with input as reads(workload, "public")
			with data.kest.parameters.confidentiality as confidentiality
	}
	denied(kest.no_read_up) with input as reads("clerk", "unheard of")
		with data.kest.parameters.confidentiality as confidentiality
	denied(kest.no_read_up) with input as reads("clerk", "public")
}

writes(seen, classification) := {"lineage": {"classifications": seen}, "environment": {"classification": classification}}

test_no_write_down if {
	kest.no_write_down == true with input as writes(["public", "internal"], "internal")
		with data.kest.parameters.confidentiality as confidentiality
	kest.no_write_down == true with input as writes([], "public") with data.kest.parameters.confidentiality as confidentiality
	denied(kest.no_write_down) with input as writes(["secret", "public"], "internal")
		with data.kest.parameters.confidentiality as confidentiality
}

test_no_write_down_of_what_is_not_known if {
	denied(kest.no_write_down) with input as writes(["unheard of"], "secret")
		with data.kest.parameters.confidentiality as confidentiality
	denied(kest.no_write_down) with input as writes([], "unheard of")
		with data.kest.parameters.confidentiality as confidentiality
	denied(kest.no_write_down) with input as writes([], "public")
}

# Biba

into(score, taints, classification) := {
	"trust_score": score,
	"subject": {"taints": taints},
	"environment": {"classification": classification},
}

ledger := {"classifications": {"ledger": {"trust": 90, "taints": ["reviewed"]}, "bare": {"trust": 0}}}

test_integrity if {
	kest.integrity == true with input as into(90, ["reviewed"], "ledger") with data.kest.parameters.integrity as ledger
	denied(kest.integrity) with input as into(89, [], "ledger") with data.kest.parameters.integrity as ledger
	denied(kest.integrity) with input as into(100, ["llm"], "ledger") with data.kest.parameters.integrity as ledger
	denied(kest.integrity) with input as into(100, ["llm"], "bare") with data.kest.parameters.integrity as ledger
}

test_integrity_of_what_is_not_known if {
	denied(kest.integrity) with input as into(100, [], "unheard of") with data.kest.parameters.integrity as ledger
	denied(kest.integrity) with input as into(100, [], "ledger")
}

# Separation of duties

approves(user, attributes) := {"subject": {"user": user}, "object": {"attributes": attributes}}

duties := {"attributes": ["requested_by", "reviewers"]}

test_separation_of_duties if {
	kest.separation_of_duties == true with input as approves("carol", {"requested_by": "alice", "reviewers": ["bob"]})
		with data.kest.parameters.separation_of_duties as duties
	every user in ["alice", "bob"] {
		denied(kest.separation_of_duties) with input as approves(user, {"requested_by": "alice", "reviewers": ["bob"]})
			with data.kest.parameters.separation_of_duties as duties
	}
}

test_separation_of_duties_that_nobody_has_had_yet if {
	kest.separation_of_duties == true with input as approves("alice", {"requested_by": [], "reviewers": []})
		with data.kest.parameters.separation_of_duties as duties
}

test_separation_of_duties_of_what_names_no_users if {
	every reviewers in [[{"id": "alice"}], [7], [null], [["alice"]], ["bob", {"id": "alice"}], {"id": "alice"}, {}, null, 7] {
		every user in ["alice", "carol"] {
			denied(kest.separation_of_duties) with input as approves(user, {"requested_by": "dave", "reviewers": reviewers})
				with data.kest.parameters.separation_of_duties as duties
		}
	}
}

test_separation_of_duties_of_what_is_not_known if {
	every given in [[null, {"requested_by": "alice", "reviewers": []}], ["carol", {}], ["carol", {"requested_by": "alice", "reviewers": 7}]] {
		denied(kest.separation_of_duties) with input as approves(given[0], given[1])
			with data.kest.parameters.separation_of_duties as duties
	}
	denied(kest.separation_of_duties) with input as approves("carol", {})
	denied(kest.separation_of_duties) with input as approves("carol", {})
		with data.kest.parameters.separation_of_duties as {"attributes": []}
}

acts(workload, id, done) := {
	"subject": {"workload": workload},
	"object": {"id": id},
	"lineage": {"principals": [one[0] | some one in done], "operations": [one[1] | some one in done]},
}

exclusions := {"excludes": {"pay": ["approve"]}}

test_separation_of_workloads if {
	kest.separation_of_workloads == true with input as acts("b", "pay", [["a", "approve"], ["b", "read"]])
		with data.kest.parameters.separation_of_workloads as exclusions
	denied(kest.separation_of_workloads) with input as acts("a", "pay", [["a", "approve"], ["b", "read"]])
		with data.kest.parameters.separation_of_workloads as exclusions
	denied(kest.separation_of_workloads) with input as acts("b", "read", [])
		with data.kest.parameters.separation_of_workloads as exclusions
	denied(kest.separation_of_workloads) with input as acts("b", "pay", [])
}

# Allowed callers

called(principals, id) := {
	"lineage": {"principals": principals},
	"object": {"id": id},
	"environment": {"is_root": principals == [], "parent_hash": "1f"},
}

callers := {"callers": ["spiffe://example.org/web", "spiffe://example.org/jobs/*"], "operations": {"pay": ["spiffe://example.org/shop"]}}

test_allowed_callers if {
	every last in ["spiffe://example.org/web", "spiffe://example.org/jobs/nightly"] {
		kest.allowed_callers == true with input as called(["spiffe://example.org/x", last], "read")
			with data.kest.parameters.allowed_callers as callers
	}
	kest.allowed_callers == true with input as called(["spiffe://example.org/shop"], "pay")
		with data.kest.parameters.allowed_callers as callers
}

test_other_callers if {
	every principals in [
		[],
		["spiffe://example.org/web", "spiffe://example.org/x"],
		["spiffe://example.org/jobs"],
		["spiffe://example.org/jobsite/x"],
		["spiffe://example.org/webx"],
	] {
		denied(kest.allowed_callers) with input as called(principals, "read")
			with data.kest.parameters.allowed_callers as callers
	}
	denied(kest.allowed_callers) with input as called(["spiffe://example.org/web"], "pay")
		with data.kest.parameters.allowed_callers as callers
	denied(kest.allowed_callers) with input as called(["spiffe://example.org/web"], "read")
}

test_callers_of_several_ends if {
	joined := object.union(called(["spiffe://example.org/web"], "read"), {"environment": {"parent_hash": "1f,2f"}})
	denied(kest.allowed_callers) with input as joined with data.kest.parameters.allowed_callers as callers
	denied(kest.allowed_callers) with input as json.remove(joined, ["environment/parent_hash"])
		with data.kest.parameters.allowed_callers as callers
}

test_roots_without_a_caller if {
	kest.allowed_callers == true with input as called([], "read")
		with data.kest.parameters.allowed_callers as {"roots": true}
}

# Business hours: 2030-01-07 is a Monday.

at(text) := time.parse_rfc3339_ns(text)

office := {"zone": "Europe/Berlin", "from": 9, "to": 17}

test_business_hours if {
	every open in ["2030-01-07T08:00:00Z", "2030-01-07T15:59:59Z"] {
		kest.business_hours == true with time.now_ns as at(open) with data.kest.parameters.business_hours as office
	}
	every closed in ["2030-01-07T07:59:59Z", "2030-01-07T16:00:00Z", "2030-01-06T12:00:00Z"] {
		denied(kest.business_hours) with time.now_ns as at(closed) with data.kest.parameters.business_hours as office
	}
}

test_business_hours_without_parameters if {
	denied(kest.business_hours) with time.now_ns as at("2030-01-07T12:00:00Z")
	denied(kest.business_hours) with time.now_ns as at("2030-01-07T12:00:00Z")
		with data.kest.parameters.business_hours as {"from": 0}
}

# What is of another kind, or not there

whole := {
	"subject": {"workload": "b", "user": "carol", "taints": []},
	"object": {"id": "pay", "attributes": {"requested_by": "alice", "reviewers": []}},
	"environment": {"is_root": false, "parent_hash": "1f", "classification": "ledger"},
	"trust_score": 100,
	"lineage": {"principals": ["a", "b"], "operations": ["approve", "read"], "classifications": ["public"]},
}

parameters := {
	"minimum_trust": {"score": 40},
	"forbidden_taints": {"taints": ["malware"]},
	"required_hops": {"principals": ["a"]},
	"confidentiality": {"levels": ["public", "ledger"], "clearances": {"b": "ledger"}},
	"integrity": {"classifications": {"ledger": {"trust": 90}}},
	"separation_of_duties": duties,
	"separation_of_workloads": exclusions,
	"allowed_callers": {"callers": ["b"]},
}

decisions := {
	"allowed_callers": kest.allowed_callers,
	"forbidden_taints": kest.forbidden_taints,
	"integrity": kest.integrity,
	"minimum_trust": kest.minimum_trust,
	"no_read_up": kest.no_read_up,
	"no_write_down": kest.no_write_down,
	"required_hops": kest.required_hops,
	"separation_of_duties": kest.separation_of_duties,
	"separation_of_workloads": kest.separation_of_workloads,
}

allowing := {policy | some policy, decision in decisions; decision == true}

test_all_allow_what_is_whole if {
	allowing == object.keys(decisions) with input as whole with data.kest.parameters as parameters
}

# Paths of the context, and the policies that read what lies there.
read_by := {
	"trust_score": {"minimum_trust", "integrity"},
	"subject/workload": {"no_read_up", "separation_of_workloads"},
	"subject/user": {"separation_of_duties"},
	"subject/taints": {"forbidden_taints", "integrity"},
	"object/id": {"allowed_callers", "required_hops", "separation_of_workloads"},
	"object/attributes": {"separation_of_duties"},
	"environment/parent_hash": {"allowed_callers"},
	"environment/classification": {"forbidden_taints", "integrity", "minimum_trust", "no_read_up", "no_write_down"},
	"lineage": {"allowed_callers", "no_write_down", "required_hops", "separation_of_workloads"},
}

test_none_allows_without_what_it_reads if {
	every path, readers in read_by {
		found := allowing with input as json.remove(whole, [path]) with data.kest.parameters as parameters
		count(found & readers) == 0
	}
}

test_none_allows_what_is_of_another_kind if {
	every path, readers in read_by {
		every value in [null, {}, true] {
			patch := [{"op": "replace", "path": path, "value": value}]
			found := allowing with input as json.patch(whole, patch) with data.kest.parameters as parameters
			count(found & (readers - {"allowed_callers", "required_hops"})) == 0
		}
	}
}

# Parameters that are wrong, and the policy that they are for.
wrong_parameters := [
	["minimum_trust", {"score": null}],
	["minimum_trust", {"score": false}],
	["minimum_trust", {"score": 40, "classifications": {"ledger": null}}],
	["forbidden_taints", {"taints": "malware"}],
	["forbidden_taints", {"taints": [null]}],
	["forbidden_taints", {"taints": ["malware"], "classifications": {"ledger": "user_input"}}],
	["required_hops", {"principals": "a"}],
	["required_hops", {"principals": [null]}],
	["confidentiality", {"levels": {"public": 0, "ledger": 1}, "clearances": {"b": "ledger"}}],
	["confidentiality", {"levels": [null, "public"], "clearances": {"b": null}}],
	["integrity", {"classifications": {"ledger": {"trust": null}}}],
	["integrity", {"classifications": {"ledger": {}}}],
	["separation_of_duties", {"attributes": "requested_by"}],
	["separation_of_duties", {"attributes": [null]}],
	["separation_of_workloads", {"excludes": {"pay": "approve"}}],
	["separation_of_workloads", {"excludes": {"pay": [null]}}],
	["separation_of_workloads", {"excludes": {"pay": {"approve": true}}}],
	["allowed_callers", {"callers": "b"}],
	["allowed_callers", {"callers": [null]}],
	["allowed_callers", {"roots": "yes"}],
]

of_parameters := {"confidentiality": {"no_read_up", "no_write_down"}}

test_none_allows_by_wrong_parameters if {
	every wrong in wrong_parameters {
		found := allowing with input as whole
			with data.kest.parameters as object.union(object.remove(parameters, [wrong[0]]), {wrong[0]: wrong[1]})
		count(found & object.get(of_parameters, wrong[0], {wrong[0]})) == 0
	}
}

test_no_business_hours_by_wrong_parameters if {
	every wrong in [{"from": null, "to": "17"}, {"from": 0, "to": "17"}, {"from": null, "to": 24}, {"from": 0, "to": 24, "days": "Monday"}] {
		not kest.business_hours == true with time.now_ns as at("2030-01-07T12:00:00Z")
			with data.kest.parameters.business_hours as wrong
	}
}
