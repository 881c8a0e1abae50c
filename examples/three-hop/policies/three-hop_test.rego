package three_hop_test

import data.hop1
import data.hop2
import data.hop3

user_request := {
	"trust_score": 40,
	"subject": {"taints": []},
	"lineage": {"depth": 2, "principals": ["spiffe://example.org/hop1", "spiffe://example.org/hop2"]},
}

test_a_user_may_start if hop1.users_may_start with input as user_request

test_nobody_starts_with_less_trust if not hop1.users_may_start with input as object.union(user_request, {"trust_score": 39})

test_nothing_tainted_starts if not hop1.users_may_start with input.subject.taints as ["unverified"] with input.trust_score as 40

from(principals) := {"lineage": {"depth": count(principals), "principals": principals}}

test_hop1_may_call_hop2 if hop2.from_hop1 with input as from(["spiffe://example.org/hop1"])

test_nobody_else_stands_before_hop2 if not hop2.from_hop1 with input as from(["spiffe://example.org/hop1", "spiffe://example.org/x"])

test_nobody_is_not_hop1 if not hop2.from_hop1 with input as from([])

test_hop2_may_ask_for_hop1 if hop3.from_hop1_by_hop2 with input as user_request

test_hop2_alone_may_not_ask if {
	every principals in [
		["spiffe://example.org/hop2"],
		["spiffe://example.org/hop2", "spiffe://example.org/hop2"],
		["spiffe://example.org/hop1", "spiffe://example.org/x"],
		["spiffe://example.org/hop1", "spiffe://example.org/hop2", "spiffe://example.org/x"],
	] {
		not hop3.from_hop1_by_hop2 with input as object.union(user_request, from(principals))
	}
}

test_nobody_asks_with_less_trust if not hop3.from_hop1_by_hop2 with input as object.union(user_request, {"trust_score": 39})

test_what_is_confidential_asks_for_more if hop3.confidential.allow == false with input as user_request

test_enough_trust_for_what_is_confidential if hop3.confidential.allow with input.trust_score as 80
