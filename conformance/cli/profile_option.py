"""The option that names a profile, for commands that need no cluster."""

from __future__ import annotations

import argparse

from conformance import profiles
from conformance.profiles import Profile

PROFILE_HELP = "a profile's name, or a path such as ./my-mesh.yaml"


def optional_profile(typed: argparse.Namespace) -> Profile | None:
    """The profile that ``--mesh`` names, if given. Raises ProfileError."""
    return profiles.load(typed.mesh) if typed.mesh else None
