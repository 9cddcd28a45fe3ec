"""Restarts the workloads that use what changed; stands apart from sync and requests, which it does not know."""
