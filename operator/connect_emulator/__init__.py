"""A faithful 1Password Connect server for tests, demos and rehearsals."""
