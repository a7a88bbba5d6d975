"""Driving: arena, probe, traffic, waiting. What is seen here becomes evidence; nothing here judges."""
