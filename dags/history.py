"""
### What it does
After each night's report it looks for what changed over the nights and stayed so: an engine or a file that is faster or
slower than it was, on an instance type. It keeps all of that in the store as `history/changes.json`, tells what is new
in its log and its note, calls the notifiers of `SPARSEBENCH_NOTIFIERS`, and publishes it as the asset
`sparsebench_changes`, with a sentence for each change in the event's `extra`. Where nothing is new, `tell` is skipped.

### When it fails
1. **`judge` fails**: something got slower, and `SPARSEBENCH_FAIL_ON_REGRESSION` is set. The sentence says what, since
   when, and what differs around that night. People have been told; there is nothing to clear.
2. **`look` fails**: the store cannot be read or written; the error names the reason. Clear the task when it is mended.
   (A night that cannot be read is left out and fails nothing; `sparsebench changes` names it.)
3. **`tell` fails**: clear it. As long as it has not succeeded, the same is told after the next night.
   A notifier that fails does not fail it; the reason is in its log.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import PartitionedAssetTimetable, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sparsebench.report import changes
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow import notes, notifiers
from sparsebench_airflow.assets import CHANGES, REPORTS
from sparsebench_airflow.on_instance import RETRIED

settings = Settings()


@dag(
    schedule=PartitionedAssetTimetable(assets=REPORTS),
    catchup=False,
    max_active_runs=1,
    description="Tell what changed over the nights, once",
    doc_md=__doc__,
    tags=["sparsebench", "3 report"],
    default_args={"owner": "sparsebench"},
)
def history() -> None:
    @task(**RETRIED)
    def look() -> list[dict[str, str]]:
        new = changes.look(Store(settings.store))
        return [{"direction": event.direction, "sentence": changes.sentence(event)} for event in new]

    @task(outlets=[CHANGES], on_success_callback=notifiers.made(settings.notifiers), **RETRIED)
    def tell(new: list[dict[str, str]]) -> str:
        """Its result is what a notifier can say: {{ ti.xcom_pull(task_ids='tell') }}."""
        if not new:
            raise AirflowSkipException("nothing has changed that was not told before")
        context: Any = get_current_context()
        text = "\n".join(f"- {event['sentence']}" for event in new)
        print(text)
        notes.leave(context, text)
        context["outlet_events"][CHANGES].extra = {"events": new}
        changes.remember(Store(settings.store), datetime.now(UTC))
        return text

    @task(trigger_rule=TriggerRule.NONE_FAILED)
    def judge(new: list[dict[str, str]]) -> None:
        slower = [event["sentence"] for event in new if event["direction"] == "slower"]
        if slower and settings.fail_on_regression:
            raise AirflowFailException(" ".join(slower))

    new = look()
    tell(new) >> judge(new)


history()
