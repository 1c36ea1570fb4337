"""Airflow reads its home when it is imported; a test's is not the developer's."""

import os
import tempfile

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-")
