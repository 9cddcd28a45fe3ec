"""AccessGrants as the operator sees them: it says in their status whether what they name is found. The broker needs none of this."""
