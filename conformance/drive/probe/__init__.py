"""The probe: the program in each sample workload. It serves, it sends, it remembers what it served.

It runs from a zipapp on the standard library of Python 3.9 or newer, and imports nothing else
of this project.
"""
