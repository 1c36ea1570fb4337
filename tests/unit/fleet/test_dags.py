"""The DAG files parse, and say what to do when they fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
READ = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder="dags")
print(json.dumps({"errors": bag.import_errors, "docs": {name: dag.doc_md for name, dag in bag.dags.items()}}))
"""


def test_every_dag_file_parses_and_opens_with_what_to_do_when_it_fails(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": f"{ROOT / 'include'}:{ROOT / 'plugins'}",
    }
    found = subprocess.run([sys.executable, "-c", READ], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    read = json.loads(found.stdout.splitlines()[-1])
    assert read["errors"] == {}
    assert set(read["docs"]) == {"sparsify", "benchmark_sweep", "report", "reap_instances"}
    for doc in read["docs"].values():
        assert doc.strip().startswith("### When it fails")
