package hop2

default from_hop1 := false

# Whoever comes last in the verified lineage is the caller.
from_hop1 if input.lineage.principals == ["spiffe://example.org/hop1"]
