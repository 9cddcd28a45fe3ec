"""Exports what vaults' servers have in their own logs of requests, as lines beside the audit's records."""
