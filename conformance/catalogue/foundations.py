"""The requirements on which others stand: if one of these fails, those that stand on it are inconclusive."""

from __future__ import annotations

GRANT, SPLIT = "access-named-match-opens", "split-single-service-followed"
BASIC = {"access": GRANT, "split": SPLIT}
"""The basic requirements, by the group whose objects other scenarios apply. They are judged first."""
PRESUMED = {"split": "split-root-endpoints-not-implicit"}
"""Presumed by every test whose scenario applies objects of the group and drives traffic: otherwise answers
may come from endpoints that the objects do not name."""
UNDER_CALLS = "common-dynamic-reconfiguration"
"""The requirement that fails if a change shows only while its service is not called."""
