"""Faults injected into whole sweeps of the real system, and what becomes of these: `python -m chaos`."""
