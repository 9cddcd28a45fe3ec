"""Who asks for which Secret: one module per kind of requester, and the registry of what they ask."""
