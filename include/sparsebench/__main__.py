"""``python -m sparsebench``: the command line, where the package is on the path but not installed."""

from sparsebench.cli import app

app()
