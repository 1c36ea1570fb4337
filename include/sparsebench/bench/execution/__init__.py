"""How an engine really computes a network: one file an engine, each by what that engine tells of itself.

Each has a function ``execution``, for a process that has imported the engine's library. It loads the network afresh
with the engine's profiler on, configured as in ``engines/``. Since a profiler costs time, it gives shares only.
"""
