"""The control plane: compiles for each sidecar, injects sidecars, converts SMI objects, serves metrics."""
