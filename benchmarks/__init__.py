"""Measurements of the measurement itself: `python -m benchmarks.<name>`."""
