"""Measurements: what the models of `workloads` cost, and how that changed."""
