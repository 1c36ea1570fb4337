"""Settings are environment variables; a wrong one is one line that names it."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from sparsebench.errors import BadInput
from sparsebench.settings import PREFIX, Settings


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)


def test_nothing_that_costs_money_is_on_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.store == f"file://{tmp_path}/.sparsebench/store"
    assert settings.nightly_instance_types == ("localhost",)
    assert (settings.market, settings.one_thread_per_core, settings.subnets) == ("on_demand", False, ())
    assert (settings.budget_usd, settings.ask_above_usd, settings.max_live_instances) == (20, 10, None)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("nightly_instance_types", " m5.xlarge, ,m7i.xlarge", ("m5.xlarge", "m7i.xlarge")),
        ("nightly_instance_types", "", ()),
        ("subnets", "subnet-1,subnet-2", ("subnet-1", "subnet-2")),
        ("subnets", "", ()),
        ("store", "s3://bucket/prefix", "s3://bucket/prefix"),
        ("security_group", "", ""),
        ("market", "spot", "spot"),
        ("one_thread_per_core", "1", True),
        ("one_thread_per_core", "", False),
        ("one_thread_per_core", "0", False),
        ("fail_on_regression", "1", True),
        ("fail_on_regression", "", False),
        ("notifiers", '{"a.B": {"c": 1}}', {"a.B": {"c": 1}}),
        ("notifiers", "", {}),
        ("max_live_instances", "8", 8),
        ("max_live_instances", "", None),
        ("budget_usd", "2.5", 2.5),
        ("budget_usd", "", None),
        ("ask_above_usd", "", None),
    ],
)
def test_a_variable_is_read(name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", text)
    assert getattr(Settings(), name) == value


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("budget_usd", "twenty", "a valid number.*or leave it empty"),
        ("budget_usd", "-1", "greater than or equal to 0"),
        ("ask_above_usd", "nan", "a finite number"),
        ("max_live_instances", "2.5", "a valid integer.*or leave it empty"),
        ("market", "sp0t", "'on_demand' or 'spot'"),
        ("one_thread_per_core", "maybe", "a valid boolean"),
    ],
)
def test_a_wrong_one_is_one_line_with_its_name_its_value_and_what_is_right(
    name: str, text: str, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", text)
    with pytest.raises(BadInput, match=right) as raised:
        Settings()
    assert f"{PREFIX}{name.upper()} is '{text}'" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ['{"a.B": {"token": "xoxb-1"}', '{"a.B": "xoxb-1"}', '["xoxb-1"]'])
def test_what_may_hold_a_secret_is_named_but_not_shown(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}NOTIFIERS", text)
    with pytest.raises(BadInput, match=f"{PREFIX}NOTIFIERS is not shown.*(it is not JSON|it has to be)") as raised:
        Settings()
    assert "xoxb" not in "".join(traceback.format_exception(raised.value))
    assert "\n" not in str(raised.value)


def test_settings_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(budget_usd=None)
    with pytest.raises(ValueError, match="frozen"):
        settings.budget_usd = 5
