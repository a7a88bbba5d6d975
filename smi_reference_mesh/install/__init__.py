"""Installation of the reference mesh: its image, its Kubernetes objects, and the SMI CRDs."""
