"""What an instance's processes see of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sparsebench.localcloud import sandbox


@pytest.fixture
def uv(tmp_path: Path) -> Path:
    """Stands for the host's uv: it says where its cache is."""
    program = tmp_path / "host" / "uv"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n[ \"$1 $2\" = 'cache dir' ] && echo /host/cache\n")
    program.chmod(0o755)
    return program


def environment(home: Path, uv: Path | None) -> dict[str, str]:
    return sandbox.environment("i-1", "i-1.name", home, uv, "http://127.0.0.1:5055", "eu-central-1")


def test_an_instance_has_the_hosts_uv_and_its_warm_cache(tmp_path: Path, uv: Path) -> None:
    home = tmp_path / "home"
    sandbox.build(home, uv)
    variables = environment(home, uv)

    finished = subprocess.run(
        ["/bin/sh", "-c", "command -v uv"], env=variables, capture_output=True, text=True, check=True
    )

    assert finished.stdout.strip() == str(home / "bin" / "uv")
    assert variables["UV_CACHE_DIR"] == "/host/cache"


def test_without_a_uv_it_has_none(tmp_path: Path) -> None:
    sandbox.build(tmp_path / "home", None)

    assert not (tmp_path / "home" / "bin" / "uv").exists()


def test_a_proxy_is_passed_on_but_never_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "example.org")

    variables = environment(tmp_path, None)

    assert variables["https_proxy"] == "http://proxy.example:3128"
    assert variables["NO_PROXY"] == variables["no_proxy"] == "example.org,127.0.0.1,localhost"


def test_nothing_else_of_the_hosts_environment_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PIP_CERT", "/certificates.pem")

    variables = environment(tmp_path, None)

    assert "AWS_SECRET_ACCESS_KEY" not in variables
    assert variables["PIP_CERT"] == "/certificates.pem"


def test_without_unshare_an_instance_has_this_machines_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sandbox.with_tmp(["true"], tmp_path / "root" / "instances" / "i-1") == ["true"]
