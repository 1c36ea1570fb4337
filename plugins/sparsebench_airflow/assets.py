"""The assets by which the pipelines know of each other."""

from airflow.sdk import Asset

MODELS = Asset("sparsebench_models")
"""Model cards and artifacts, published by sparsify."""

RESULTS = Asset("sparsebench_results")
"""Trials of a night; its partition key is the night."""

REPORTS = Asset("sparsebench_reports")
"""The report of a night; its partition key is the night."""

CHANGES = Asset("sparsebench_changes")
"""What changed over the nights and was not told before, a sentence each in the event's ``extra``; its partition key is
the night after which it was seen."""
