"""The requirements on which others stand: where one of these fails, nothing follows for what stands on it."""

from __future__ import annotations

GRANT, SPLIT = "access-named-match-opens", "split-single-service-followed"
BASIC = {"access": GRANT, "split": SPLIT}
"""The basic requirements, by the group whose objects the others apply. They are judged first."""
BESIDE = {"split": "split-root-endpoints-not-implicit"}
"""What every test presumes whose scenario applies objects of a group and drives traffic: else nobody answers
only as they say."""
UNDER_CALLS = "common-dynamic-reconfiguration"
"""The requirement that fails where a change shows only when its service is not called."""
