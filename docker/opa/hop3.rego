package hop3

default two_hops_away := false

two_hops_away if input.lineage.principals == ["spiffe://example.org/hop1", "spiffe://example.org/hop2"]

default not_sealed := false

not_sealed if input.object.id != "sealed"
