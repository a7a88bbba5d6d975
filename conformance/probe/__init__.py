"""The probe: the program in each sample workload. It serves, sends, and records what it served.

It runs from a zipapp on Python 3.9 or later and imports only itself, the standard library and, for HTTP/2,
the package `h2`, which the zipapp contains.
"""
