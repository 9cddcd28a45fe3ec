"""The whole story in the terminal: a real control plane, a Connect server, and the operator between them."""
