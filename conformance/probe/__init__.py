"""The probe: the program in each sample workload. It serves, it sends, it remembers what it served.

It runs from a zipapp on Python 3.9 or newer, and imports nothing else of this project: only the standard
library and, for HTTP/2, the package `h2`, which the zipapp brings along.
"""
