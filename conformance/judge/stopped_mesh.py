"""What an object in question did to the rest of the mesh: whether that took changes while it was there."""

from __future__ import annotations

from conformance.model.evidence import TrialResult


def finding(one: TrialResult) -> str:
    """What no reading excuses: that the mesh stopped taking changes because of the object; else empty."""
    stopped = one.unrelated_edit is not None and not one.unrelated_edit.converged
    if one.recovery is None:
        return f"the mesh took no change while {_called(one)} was there" if stopped else ""
    took = one.recovery.took_s
    after = (
        f"in the {one.recovery.within_s:g} s after it was deleted"
        if took is None
        else f"for {took:.0f} s after it was deleted"
    )
    if stopped:
        joined = "nor" if took is None else "and"
        return f"the mesh took no change while {_called(one)} was there, {joined} {after}"
    return f"the mesh took no change {after.replace('it', _called(one), 1)}"


def _called(one: TrialResult) -> str:
    return repr(one.object_name) if one.object_name else "this object"
