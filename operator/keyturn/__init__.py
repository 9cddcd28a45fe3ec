"""Keeps Kubernetes Secrets equal to items of a 1Password vault, and restarts exactly what uses them."""
