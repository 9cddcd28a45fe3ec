"""`keyturn convert`: ExternalSecrets and OnePasswordItems rewritten as KeyturnSecrets, without a cluster or a vault."""
