"""Ready ONNX networks from elsewhere become variants of the catalog's networks, when every engine really runs them.

It runs in the bench environment; ``check`` alone runs everywhere.
"""
