"""Driving: arena, probe, traffic and waits. Produces evidence; judges nothing."""
