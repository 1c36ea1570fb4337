"""What runs on an instance whatever its job is, so that none is left running and no result is lost.

The control side reads its constants; nothing here needs an engine.
"""
