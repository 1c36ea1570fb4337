"""What the runner promises about its trials, whatever an engine does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from tests.support.values import there
from tests.unit.bench.conftest import Bench

from sparsebench.bench.priority import HIGHEST, may_come_first
from sparsebench.bench.quiet import SOCKET
from sparsebench.contracts import Trial, Variant
from sparsebench.local.quiet import Listener
from sparsebench.statistics.pairs import Treatment, by_treatment, log_ratios
from sparsebench.store import Store

NIGHT = "2026-11-24"


def only_trial(store: Store) -> Trial:
    (trial,) = store.trials(NIGHT)
    return trial


def test_four_engines_are_measured_and_agree_with_onnx_runtime(bench: Bench, network: Path, store: Store) -> None:
    engines = ("onnxruntime", "openvino", "deepsparse", "deepsparse.benchmark")

    done = bench.run(bench.request(network, engines))

    assert done.returncode == 0, done.stderr
    trials = store.trials(NIGHT)
    assert {trial.cell.engine: trial.status for trial in trials} == dict.fromkeys(engines, "measured")
    (host,) = store.hosts(NIGHT)
    for trial in trials:
        assert trial.parity is not None
        assert trial.parity.agrees
        assert trial.threads == host.physical_cores
        assert not there(trial.execution).reduced
        assert trial.interleaved
        for block in trial.blocks:
            assert block.images == len(block.latencies_ms)
            assert sum(block.latencies_ms) >= 15  # ms, of 20; the tool's own time has what lies between them in it
            assert block.seconds == pytest.approx(sum(block.latencies_ms) / 1000, rel=0.5)
        assert there(trial.peak_memory_bytes) > 10e6
    progress = there(store.progress("job"))
    assert (progress.done, progress.total, progress.failed, progress.finished) == (4, 4, 0, True)
    assert "[4/4] tiny" in done.stdout


def test_started_again_it_measures_only_what_is_missing(bench: Bench, network: Path, store: Store) -> None:
    engines = ("onnxruntime", "openvino", "not-installed", "crashing")
    request = bench.request(network, engines, min_processes=3, max_processes=3)
    assert bench.run(request).returncode == 0
    before = {path: store.read(path) for path in store.paths("nights")}
    lost = {path for path in before if path.endswith("-2.json") and "/trials/" in path}
    assert len(lost) == 2  # the other two had been given up
    for path in lost:
        Path(store.url(path).removeprefix("file://")).unlink()

    done = bench.run(request)

    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if line.startswith("[")]
    kept = sum("/trials/" in path for path in before) - len(lost)
    assert [int(line[1:].partition("/")[0]) for line in shown] == [kept + 1, kept + 2]
    assert set(store.paths("nights")) == set(before)
    assert {path for path, data in before.items() if store.read(path) != data} == lost


def test_when_one_of_a_generations_trials_is_missing_another_generation_is_measured(
    bench: Bench, network: Path, store: Store
) -> None:
    request = bench.request(network, ("onnxruntime", "openvino"), min_processes=2, max_processes=3)
    assert bench.run(request).returncode == 0
    (lost,) = (path for path in store.paths("nights") if path.endswith("tiny-base-openvino-f32/job-1.json"))
    Path(store.url(lost).removeprefix("file://")).unlink()

    bench.run(request)

    assert sorted(t.generation for t in store.trials(NIGHT) if t.cell.engine == "openvino") == [0, 2]


def test_a_wrong_output_is_recorded_as_invalid_and_never_timed(bench: Bench, network: Path, store: Store) -> None:
    done = bench.run(bench.request(network, ("wrong",)))

    assert done.returncode == 0, done.stderr
    trial = only_trial(store)
    assert trial.status == "invalid"
    assert there(there(trial.parity).relative) > 1
    assert trial.blocks == ()


def test_a_network_of_digits_is_shown_other_images_than_the_others(bench: Bench, network: Path, store: Store) -> None:
    """The engine always says 1000; how far off that is tells the images."""
    done = bench.run(bench.request(network, ("wrong",), ("tiny", "mobilenetv1", "mobilenetv1-digits")))

    assert done.returncode == 0, done.stderr
    off = {trial.cell.network: there(trial.parity).max_abs for trial in store.trials(NIGHT)}
    assert off["mobilenetv1"] == off["tiny"]
    assert off["mobilenetv1-digits"] != off["tiny"]


def test_an_engine_that_is_not_there_is_one_typed_absence_for_all_rounds(
    bench: Bench, network: Path, store: Store
) -> None:
    done = bench.run(bench.request(network, ("not-installed",), min_processes=3, max_processes=3))

    assert done.returncode == 0, done.stderr
    assert there(only_trial(store).absence).reason == "not_installed"
    assert there(store.progress("job")).total == 1


def test_an_engine_that_refuses_the_network_is_a_typed_absence_in_its_words(
    bench: Bench, network: Path, store: Store
) -> None:
    bench.run(bench.request(network, ("refusing",), min_processes=2, max_processes=2))

    absence = there(only_trial(store).absence)
    assert (absence.reason, absence.detail) == ("unsupported_network", "no kernel for Relu")


def test_deepsparse_refuses_a_file_that_is_too_new_before_it_is_loaded(
    bench: Bench, make_network: Callable[..., Path], store: Store
) -> None:
    bench.run(bench.request(make_network("--opset", "20"), ("deepsparse",)))

    absence = there(only_trial(store).absence)
    assert absence.reason == "unsupported_network"
    assert "opset 20" in absence.detail


def test_a_crash_is_a_failed_trial_with_the_last_that_was_printed(bench: Bench, network: Path, store: Store) -> None:
    done = bench.run(bench.request(network, ("crashing",)))

    assert done.returncode == 0, done.stderr
    trial = only_trial(store)
    assert trial.status == "failed"
    assert there(trial.error).startswith("killed by SIGABRT")
    assert "out of registers" in there(trial.error)
    assert there(store.progress("job")).failed == 1


def test_a_trial_that_takes_too_long_is_ended_and_has_failed(
    bench: Bench, network: Path, store: Store, tmp_path: Path
) -> None:
    bench.environment = bench.environment | {"HANGING_PID": str(tmp_path / "pid")}
    done = bench.run(bench.request(network, ("hanging",), trial_timeout_s=6))

    assert done.returncode == 0, done.stderr
    assert there(only_trial(store).error).startswith("said nothing for 6 s")
    assert not alive(int((tmp_path / "pid").read_text()))


def test_an_engine_that_dies_while_others_take_turns_fails_alone(bench: Bench, network: Path, store: Store) -> None:
    done = bench.run(bench.request(network, ("dying", "onnxruntime"), min_rounds=5, max_rounds=5))

    assert done.returncode == 0, done.stderr
    trials = {trial.cell.engine: trial for trial in store.trials(NIGHT)}
    assert there(trials["dying"].error).startswith("killed by SIGKILL")
    assert len(trials["onnxruntime"].blocks) >= 5


def test_an_engine_that_ends_without_an_answer_has_failed(bench: Bench, network: Path, store: Store) -> None:
    done = bench.run(bench.request(network, ("quitting",)))

    assert done.returncode == 0, done.stderr
    assert there(only_trial(store).error).startswith("ended without an answer")


def test_what_was_timed_stands_though_the_engine_crashes_when_asked_how_it_computes(
    bench: Bench, network: Path, store: Store
) -> None:
    done = bench.run(bench.request(network, ("secretive",)))

    assert done.returncode == 0, done.stderr
    trial = only_trial(store)
    assert trial.status == "measured"
    assert there(trial.execution).source.startswith("not told: killed by SIGABRT")


def test_engines_take_turns_in_random_order_and_the_seed_says_which(bench: Bench, network: Path, store: Store) -> None:
    request = store.bench_request(
        bench.request(network, ("onnxruntime", "openvino", "wrong"), min_rounds=12, max_rounds=12)
    )

    def who_began(job: str, seed: int) -> list[str]:
        """The engine whose turn it was first, round by round; blocks that replace disturbed ones left out."""
        path = store.put_bench_request(request.model_copy(update={"job": job, "seed": seed}))
        assert bench.run(path).returncode == 0
        blocks = sorted(
            (block.round, block.started_at, trial.cell.engine)
            for trial in store.trials(NIGHT, "localhost", job)
            for block in trial.blocks
            if block.position < 2
        )
        assert [round_ for round_, _, _ in blocks] == [number // 2 for number in range(len(blocks))]
        assert [start for _, start, _ in blocks] == sorted(start for _, start, _ in blocks)
        return [engine for _, _, engine in blocks[0:24:2]]

    first = who_began("first", seed=0)
    assert set(first) == {"onnxruntime", "openvino"}
    assert who_began("same", seed=0) == first
    assert who_began("other", seed=1) != first


@pytest.mark.measures
def test_an_engine_whose_turn_it_is_not_is_stopped(bench: Bench, network: Path, store: Store) -> None:
    runner = bench.start(bench.request(network, ("onnxruntime", "openvino"), block_s=0.5, min_rounds=9, max_rounds=9))
    stopped = []  # how many were, whenever both were there
    while runner.poll() is None:
        workers = [stat.split()[2] for stat in stats_of_children(runner.pid)]
        if len(workers) == 2:
            stopped.append(workers.count("T"))
        time.sleep(0.05)

    assert stopped.count(1) > 0.8 * len(stopped) > 0


def stats_of_children(pid: int) -> list[str]:
    """The lines of /proc/<pid>/stat of a process's children, their names left out."""
    lines = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        after_name = text.rpartition(")")[2].split()
        if int(after_name[1]) == pid:
            lines.append(f"{stat.parent.name} name {' '.join(after_name)}")
    return lines


def test_engines_that_do_not_fit_into_memory_together_are_measured_one_after_the_other(
    bench: Bench, network: Path, store: Store
) -> None:
    # Read for the host's facts, at the start, and after each engine: the first takes 4 of 9, and 5 is less than 6.
    bench.environment = bench.environment | {"AVAILABLE_MEMORY": "9 9 5"}
    done = bench.run(bench.request(network, ("onnxruntime", "openvino")))

    assert done.returncode == 0, done.stderr
    trials = store.trials(NIGHT)
    assert {trial.status for trial in trials} == {"measured"}
    assert not any(trial.interleaved for trial in trials)


EQUAL = "from sparsebench.bench.priority import come_first; come_first()\nwhile True: pass"
"""A busy process with the priority of those that are measured."""


@pytest.mark.measures
def test_what_is_measured_comes_before_whoever_is_busy_beside_it_where_it_may(
    bench: Bench, network: Path, store: Store
) -> None:
    burn = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    try:
        done = bench.run(bench.request(network, ("onnxruntime",), block_s=0.2, min_rounds=3, max_rounds=3))
    finally:
        burn.kill()

    assert done.returncode == 0, done.stderr
    trial = only_trial(store)
    first_line = done.stdout.splitlines()[0]
    if may_come_first():
        assert "what is measured comes before them" in first_line
        assert trial.engine_facts["nice"] == HIGHEST
        assert median(there(block.interference.foreign_cores) for block in trial.blocks) < 0.2
    else:
        assert "as root, or after `sudo prlimit --nice=40 --pid $$`" in first_line
        assert "nice" not in trial.engine_facts


@pytest.mark.measures
def test_a_disturbed_block_is_kept_and_another_round_is_timed(bench: Bench, network: Path, store: Store) -> None:
    burn = subprocess.Popen([sys.executable, "-c", EQUAL], start_new_session=True)
    try:
        done = bench.run(bench.request(network, ("onnxruntime",), block_s=0.2, min_rounds=3, max_rounds=3))
    finally:
        burn.kill()

    assert done.returncode == 0, done.stderr
    blocks = only_trial(store).blocks
    assert len(blocks) > 3
    assert sum(bool(block.interference.disturbances) for block in blocks) >= 3
    assert "blocks disturbed" in done.stdout


@pytest.mark.measures
def test_a_neighbour_that_listens_keeps_still_while_a_round_is_timed(bench: Bench, network: Path, store: Store) -> None:
    burn = subprocess.Popen([sys.executable, "-c", EQUAL], start_new_session=True)
    listener = Listener(lambda: [burn.pid])
    bench.environment = bench.environment | {SOCKET: str(listener.path)}
    try:
        done = bench.run(bench.request(network, ("onnxruntime",), block_s=0.2, min_rounds=3, max_rounds=3))
    finally:
        listener.close()
        burn.kill()

    assert done.returncode == 0, done.stderr
    assert median(there(block.interference.foreign_cores) for block in only_trial(store).blocks) < 0.5


def test_the_throughput_scenario_uses_batches_and_streams(bench: Bench, network: Path, store: Store) -> None:
    engines = ("onnxruntime", "openvino", "deepsparse", "deepsparse.benchmark")
    done = bench.run(bench.request(network, engines, scenario="throughput"))

    assert done.returncode == 0, done.stderr
    trials = {trial.cell.engine: trial for trial in store.trials(NIGHT)}
    assert {trial.status for trial in trials.values()} == {"measured"}
    assert {engine: trial.batch for engine, trial in trials.items()} == {
        "onnxruntime": 16,
        "openvino": 1,
        "deepsparse": 16,
        "deepsparse.benchmark": 16,
    }
    assert int(trials["openvino"].engine_facts["streams"]) >= 1
    for trial in trials.values():
        assert all(block.images == trial.batch * len(block.latencies_ms) for block in trial.blocks)


def test_a_network_that_onnx_runtime_cannot_run_fails_with_its_reason(
    bench: Bench, make_network: Callable[..., Path], store: Store
) -> None:
    done = bench.run(bench.request(make_network("--activation", "NoSuchOperator"), ("openvino",)))

    assert done.returncode == 0, done.stderr
    assert there(only_trial(store).error).startswith("no reference output: ONNX Runtime refuses the network: ")
    assert "NoSuchOperator" in there(only_trial(store).error)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_when_the_runner_is_ended_so_is_its_child_and_nothing_half_is_written(
    bench: Bench, network: Path, store: Store, tmp_path: Path, ending: signal.Signals
) -> None:
    pid_file = tmp_path / "pid"
    runner = bench.start(bench.request(network, ("hanging",)), HANGING_PID=str(pid_file), TMPDIR=str(tmp_path))
    wait_for(lambda: pid_file.exists() and pid_file.read_text() != "")

    runner.send_signal(ending)

    assert runner.wait(2) == {signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}[ending]
    wait_for(lambda: not alive(int(pid_file.read_text())))
    assert store.trials(NIGHT) == []
    assert list(tmp_path.rglob("*.tmp")) == []


def test_an_artifact_with_another_digest_is_refused(bench: Bench, network: Path, store: Store) -> None:
    request = bench.request(network, ("onnxruntime",))
    artifact = store.artifact_path(store.bench_request(request).models[0].artifact)
    store.write(artifact, store.read(artifact) + b"x")

    message = refused(bench, request)

    assert "edited or damaged" in message
    assert store.trials(NIGHT) == []


def test_a_request_for_another_instance_type_is_refused(bench: Bench, network: Path, store: Store) -> None:
    request = store.bench_request(bench.request(network, ("onnxruntime",)))
    other = store.put_bench_request(request.model_copy(update={"job": "other", "instance_type": "m7i.xlarge"}))

    assert "'m7i.xlarge', this machine is 'localhost'" in refused(bench, other)
    assert store.hosts(NIGHT) == []


def test_an_unknown_engine_is_refused(bench: Bench, network: Path) -> None:
    assert "engines: 'tensorrt' is not one of" in refused(bench, bench.request(network, ("tensorrt",)))


def test_a_store_that_cannot_be_written_is_refused(bench: Bench, network: Path, store: Store) -> None:
    request = bench.request(network, ("onnxruntime",))
    store.write("progress", b"a file where a folder should be")

    assert "cannot write" in refused(bench, request)


def test_a_request_that_is_not_there_is_refused(bench: Bench) -> None:
    assert "no nights/x.json" in refused(bench, "nights/x.json")


def refused(bench: Bench, request: str) -> str:
    """What the runner says, in one line."""
    done = bench.run(request)
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if not line.startswith("the host is ")] == []
    (line,) = done.stderr.splitlines()
    return line


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that nobody has waited for yet is a zombie, and dead.
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_the_files_of_a_network_take_turns_in_the_same_rounds(bench: Bench, network: Path, store: Store) -> None:
    done = bench.run(bench.request(network, ("onnxruntime", "openvino"), variants=("base", "pruned")))

    assert done.returncode == 0, done.stderr
    trials = store.trials(NIGHT)
    assert {(trial.cell.variant, trial.generation, trial.variants) for trial in trials} == {
        ("base", 0, ("base", "pruned")),
        ("pruned", 0, ("base", "pruned")),
    }
    blocks = sorted((block.started_at, block.round) for trial in trials for block in trial.blocks)
    assert [round_ for _, round_ in blocks] == sorted(round_ for _, round_ in blocks)
    entering = by_treatment(trials)
    assert log_ratios(entering[Treatment("pruned", "openvino", "f32")], entering[Treatment("base", "openvino", "f32")])


def test_where_memory_does_not_hold_all_files_each_part_has_the_base(bench: Bench, network: Path, store: Store) -> None:
    """Each process takes 4, the third would need 1.5 times that, and 5 are left; the parts of two then fit."""
    bench.environment = bench.environment | {"AVAILABLE_MEMORY": "99 13 9 5 99 95 91 87"}
    files: tuple[Variant, ...] = ("base", "pruned", "fake99")
    request = bench.request(network, ("onnxruntime",), variants=files, min_processes=2, max_processes=2)

    done = bench.run(request)

    assert done.returncode == 0, done.stderr
    parts = {trial.generation: trial.variants for trial in store.trials(NIGHT)}
    assert [parts[number] for number in sorted(parts)] == [("base", "pruned"), ("base", "fake99")] * 2


def test_an_engine_and_its_own_tool_time_one_compiled_network(bench: Bench, network: Path, store: Store) -> None:
    done = bench.run(bench.request(network, ("deepsparse", "deepsparse.benchmark")))

    assert done.returncode == 0, done.stderr
    api, tool = sorted(store.trials(NIGHT), key=lambda trial: trial.cell.engine)
    assert api.load_s == tool.load_s
    assert {block.round for block in api.blocks} == {block.round for block in tool.blocks}


def test_how_an_engine_computes_is_asked_once_and_found_again_by_another_night(
    bench: Bench, network: Path, store: Store
) -> None:
    first = bench.request(network, ("onnxruntime",))
    assert bench.run(first).returncode == 0
    (profile,) = store.paths("profiles")
    store.write(profile, store.read(profile).replace(b"profile and the types of tensors", b"found again"))
    later = store.bench_request(first).model_copy(update={"night": "2026-11-25"})

    assert bench.run(store.put_bench_request(later)).returncode == 0

    (trial,) = store.trials("2026-11-25")
    assert there(trial.execution).source == "found again"


def test_a_process_is_pinned_to_the_cpus_that_the_run_may_use_and_says_so(
    bench: Bench, network: Path, store: Store
) -> None:
    command = ["taskset", "--cpu-list", "0", *bench.command(bench.request(network, ("onnxruntime", "openvino")))]
    assert subprocess.run(command, env=bench.environment, capture_output=True).returncode == 0

    assert {(trial.cpus, trial.threads) for trial in store.trials(NIGHT)} == {((0,), 1)}
    (host,) = store.hosts(NIGHT)
    assert (host.cpus, host.threads) == ((0,), 1)


@pytest.mark.measures
def test_what_takes_the_cpus_is_named_before_anything_is_measured(bench: Bench, network: Path, store: Store) -> None:
    burn = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        done = bench.run(bench.request(network, ("onnxruntime",), block_s=0.1))
    finally:
        burn.kill()

    assert done.stdout.splitlines()[0].startswith("the host is not quiet: other processes take ")
    (host,) = store.hosts(NIGHT)
    assert any(name.startswith("python") for name in there(host.neighbours).processes)
