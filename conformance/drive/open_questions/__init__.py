"""What the specification leaves open: odd objects beside a sound one, and what becomes of traffic."""
