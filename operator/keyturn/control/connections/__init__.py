"""The connections to vaults: per connection an index of its items, a poller and its health."""
