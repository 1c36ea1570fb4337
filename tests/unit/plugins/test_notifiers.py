"""Notifiers that are configured wrongly are one line that names them."""

from __future__ import annotations

import pytest

from sparsebench.errors import BadInput
from sparsebench_airflow.notifiers import made

SNS = "airflow.providers.amazon.aws.notifications.sns.SnsNotifier"


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("no.such.Notifier", {}, "SPARSEBENCH_NOTIFIERS: no.such.Notifier: No module named 'no'"),
        ("pathlib.Pfad", {}, "SPARSEBENCH_NOTIFIERS: pathlib.Pfad: .*Pfad"),
        (SNS, {}, f"SPARSEBENCH_NOTIFIERS: {SNS}: .*target_arn"),
        (SNS, {"target_arn": "arn", "message": "m", "colour": "red"}, f"SPARSEBENCH_NOTIFIERS: {SNS}: .*colour"),
        ("pathlib.Path", {}, "SPARSEBENCH_NOTIFIERS: pathlib.Path is no notifier of Airflow's"),
    ],
)
def test_what_is_no_notifier_is_named(path: str, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        made({path: arguments})
