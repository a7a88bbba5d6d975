"""SMI objects, read into one model whatever version they are written in.

An object that cannot be understood becomes a `Problem`; it takes no other object down with it.
"""
