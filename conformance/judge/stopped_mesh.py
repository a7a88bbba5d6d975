"""Whether an object in question stopped the mesh from applying other changes."""

from __future__ import annotations

from conformance.model.evidence import TrialResult


def finding(trial: TrialResult) -> str:
    """A finding that no reading excuses: the mesh applied no changes because of the object; else empty."""
    stopped = trial.unrelated_edit is not None and not trial.unrelated_edit.converged
    if trial.recovery is None:
        return f"the mesh took no change while {_object(trial)} was there" if stopped else ""
    took = trial.recovery.took_s
    after = (
        f"in the {trial.recovery.within_s:g} s after it was deleted"
        if took is None
        else f"for {took:.0f} s after it was deleted"
    )
    if stopped:
        joined = "nor" if took is None else "and"
        return f"the mesh took no change while {_object(trial)} was there, {joined} {after}"
    return f"the mesh took no change {after.replace('it', _object(trial), 1)}"


def _object(trial: TrialResult) -> str:
    return repr(trial.object_name) if trial.object_name else "this object"
