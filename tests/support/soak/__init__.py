"""Everything at once for a long time: random faults on all sides from a seed, and an account of what came of it."""
