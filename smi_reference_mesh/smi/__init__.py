"""SMI objects of all versions, parsed into one model.

An invalid object becomes a `Problem` and does not affect other objects.
"""
