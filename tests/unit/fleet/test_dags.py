"""The DAG files parse, and say what to do when they fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[3]
READ = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder="dags")
print(json.dumps({"errors": bag.import_errors, "docs": {name: dag.doc_md for name, dag in bag.dags.items()}}))
"""
NEXT_NIGHT = """
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction
dag = DagBag(dag_folder="dags/benchmark_sweep.py").dags["benchmark_sweep"]
timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable  # as the scheduler has it
print(timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=TimeRestriction(None, None, False)).run_after)
"""


def last_line(script: str, home: Path, **environment: str) -> str:
    """What a script that reads the DAGs prints in the end."""
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": f"{ROOT / 'include'}:{ROOT / 'plugins'}",
        **environment,
    }
    found = subprocess.run([sys.executable, "-c", script], env=env, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()[-1]


def test_unpausing_does_not_start_the_night_that_has_just_begun(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    just_now = now - timedelta(minutes=10)
    schedule = f"{just_now.minute} {just_now.hour} * * *"
    assert datetime.fromisoformat(last_line(NEXT_NIGHT, tmp_path, SPARSEBENCH_NIGHTLY_SCHEDULE=schedule)) > now


def test_every_dag_file_parses_and_opens_with_what_to_do_when_it_fails(tmp_path: Path) -> None:
    read = json.loads(last_line(READ, tmp_path))
    assert read["errors"] == {}
    names = {"sparsify", "import_model", "benchmark_sweep", "report", "reap_instances", "nothing_left_over"}
    assert set(read["docs"]) == names
    for doc in read["docs"].values():
        assert doc.strip().startswith("### When it fails")
