"""What is known to stop DeepSparse before it is tried."""

from __future__ import annotations

import platform

import pytest

from sparsebench.bench.engines import ENGINES, base
from sparsebench.bench.onnx_header import OnnxHeader, TensorInfo

AVX2 = frozenset({"avx2"})


def header(ir_version: int = 9, opset: int = 19) -> OnnxHeader:
    return OnnxHeader(ir_version, opset, (TensorInfo("images", "float32", ("batch", 3, 32, 32)),), ())


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: object())


@pytest.fixture(params=["deepsparse", "deepsparse.benchmark"])
def engine(request: pytest.FixtureRequest) -> base.Engine:
    return ENGINES[request.param]


@pytest.fixture
def x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.mark.usefixtures("x86")
def test_a_cpu_with_avx2_and_a_file_within_its_limits_may_be_tried(engine: base.Engine) -> None:
    assert engine.absence(AVX2, header()) is None


@pytest.mark.usefixtures("x86")
def test_a_cpu_without_avx2(engine: base.Engine) -> None:
    absence = engine.absence(frozenset({"sse4_2"}), header())
    assert absence is not None
    assert absence.reason == "cpu_feature"


def test_graviton_which_knows_no_avx2_may_be_tried(monkeypatch: pytest.MonkeyPatch, engine: base.Engine) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert engine.absence(frozenset({"asimd"}), header()) is None
    too_new = engine.absence(frozenset({"asimd"}), header(opset=99))
    assert too_new is not None
    assert too_new.reason == "unsupported_network"


def test_another_machine(monkeypatch: pytest.MonkeyPatch, engine: base.Engine) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    absence = engine.absence(frozenset(), header())
    assert absence is not None
    assert (absence.reason, absence.detail) == (
        "not_installed",
        "it is built for x86-64 and aarch64; this is riscv64",
    )


@pytest.mark.usefixtures("x86")
@pytest.mark.parametrize(
    ("newer", "told"),
    [
        ({"ir_version": 10}, "the file has IR version 10 (it loads 9 at most)"),
        ({"opset": 20}, "the file has opset 20 (it loads 19 at most)"),
        (
            {"opset": 21, "ir_version": 10},
            "the file has opset 21 (it loads 19 at most) and IR version 10 (it loads 9 at most)",
        ),
    ],
)
def test_of_a_file_that_is_too_new_it_tells_what_is(newer: dict[str, int], told: str, engine: base.Engine) -> None:
    absence = engine.absence(AVX2, header(**newer))
    assert absence is not None
    assert (absence.reason, absence.detail) == ("unsupported_network", told)


@pytest.mark.usefixtures("x86")
def test_an_environment_without_it(engine: base.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    absence = engine.absence(AVX2, header())
    assert absence is not None
    assert absence.reason == "not_installed"
