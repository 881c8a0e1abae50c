# What hop2 asks.
package hop2

# METADATA
# description: Before it, by the verified lineage, stands hop1, and nobody else.
# entrypoint: true
from_hop1 if input.lineage.principals == ["spiffe://example.org/hop1"]
