"""The suite on trial: faults of the reference mesh that it must catch, variants that it must pass."""
