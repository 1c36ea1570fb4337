"""The process of a task is forked from one that has imported what tasks need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sparsebench.local.checkout import ROOT
from sparsebench.local.stack import Stack

TASK = """
import runpy, sys
import airflow, airflow.executors.local_executor, airflow.sdk.execution_time.task_runner
there = set(sys.modules)
for file in sys.argv[1:]:
    runpy.run_path(file)
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - there}))
"""


def test_dag_files_import_no_library_that_the_scheduler_has_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TASK, *sorted(map(str, (ROOT / "dags").glob("*.py")))]
    environment = Stack(home=tmp_path).env
    told = subprocess.check_output(command, env=environment, cwd=tmp_path, text=True, stderr=subprocess.DEVNULL)
    assert set(told.splitlines()[-1].split()) <= {"airflow", "sparsebench_airflow"}
