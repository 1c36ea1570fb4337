"""One scenario: a sweep to which something is done, and whether it ended as it should."""

from __future__ import annotations

import time
import traceback

from benchmarks.common import CONSOLE

from chaos.checks import judge
from chaos.lab import Lab
from chaos.scenarios import Scenario
from chaos.sweep import Outcome, Sweep
from chaos.system import Stopped, patiently


def measure_undisturbed(lab: Lab, seed: int) -> Outcome:
    """What a sweep takes to which nothing is done."""
    scenario = Scenario(0, seed, (), lab.phase)
    outcome = carry_out(lab, scenario)
    sweep = Sweep(lab, scenario, outcome.instance_type)
    launches, trials = sweep.launches(), sweep.trials()
    if launches and trials:
        begins = min(trial.started_at for trial in trials)
        ends = max(trial.ended_at for trial in trials)
        lab.times = (begins - launches[0].launched_at).total_seconds(), (ends - begins).total_seconds()
    lab.undisturbed_s = outcome.instances_s
    return outcome


def carry_out(lab: Lab, scenario: Scenario) -> Outcome:
    """Run a scenario to its end, and look at what is there."""
    instance_type = lab.types.take()
    lab.active.add(scenario.number)
    began = time.monotonic()
    outcome = Outcome(scenario.number, scenario.name, lab.phase, instance_type)
    try:
        CONSOLE.print(f"{scenario.name} begins on {instance_type}", highlight=False, soft_wrap=True)
        sweep = Sweep(lab, scenario, instance_type)
        judge(sweep, sweep.carry_out(), outcome)
    except Stopped:
        outcome.problems.append("stopped")
    except Exception:
        outcome.problems.append(f"the benchmark itself failed: {traceback.format_exc()}")
    finally:
        lab.active.discard(scenario.number)
        outcome.took_s = time.monotonic() - began
        lab.types.give_back(instance_type, patiently(lambda: lab.faults.wait_in_vain(scenario.number)))
    return outcome
