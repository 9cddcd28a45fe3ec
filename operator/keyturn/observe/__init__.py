"""What an operator of the operator sees: logs, metrics, health endpoints."""
