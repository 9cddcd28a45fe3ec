"""The Kubernetes side: one gateway to the API server, a metadata informer, events."""
