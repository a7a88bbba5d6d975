"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes is the machine's business; `make bench` measures.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
