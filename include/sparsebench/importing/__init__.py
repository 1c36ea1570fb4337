"""Ready ONNX networks from elsewhere become variants of the catalog's networks, when every engine really runs them; or
networks that the catalog does not know, when any engine does.

It runs in the bench environment; ``check`` alone runs everywhere.
"""
