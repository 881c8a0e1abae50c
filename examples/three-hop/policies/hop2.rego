# What hop2 asks.
package hop2

# METADATA
# description: Whoever stands before it, by the verified lineage, is hop1.
# entrypoint: true
from_hop1 if input.lineage.principals[input.lineage.depth - 1] == "spiffe://example.org/hop1"
