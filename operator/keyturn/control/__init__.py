"""The loops: they carry keys between the vault side and the Kubernetes side, and decide nothing themselves."""
