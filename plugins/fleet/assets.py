"""The assets by which the pipelines know of each other."""

from airflow.sdk import Asset

MODELS = Asset("sparsebench_models")
"""Model cards and artifacts, published by sparsify."""

RESULTS = Asset("sparsebench_results")
"""Trials of a night; its partition key is the night."""
