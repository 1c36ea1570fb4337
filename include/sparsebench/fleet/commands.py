"""What an instance is told to do, as shell scripts for AWS-RunShellScript.

Every value is quoted. Nothing is used before its digest was checked: the lock carries the hashes of the
packages, and the job carries the digests of the lock and of the payload.
"""

from __future__ import annotations

from datetime import UTC, datetime
from shlex import quote
from typing import Literal

from sparsebench.contracts import Job
from sparsebench.fleet import payload
from sparsebench.instance.switch import ARMED_MINUTES, MOMENT
from sparsebench.store import Store

Step = Literal["prepare", "work"]

_STDOUT_BYTES, _STDERR_BYTES = 8000, 7000
"""Of the module's output that SSM is given; in stderr there is room for what the script itself has to say."""

# The SSM agent gives a command neither a useful HOME nor a working folder.
_ENTER = """set -eu
export HOME="${HOME:-/root}"
mkdir -p "$HOME/sparsebench"
cd "$HOME/sparsebench"
exec 9>lock
flock 9 # a command that was sent twice waits for the first one, and then finds everything done
"""


def script(step: Step, job: Job, store: Store, until: datetime) -> str:
    """The script of one step of a job.

    Args:
        until: when the instance ends at the latest, however alive the job is.
    """
    return {"prepare": prepare, "work": work}[step](job, store, until)


def prepare(job: Job, store: Store, until: datetime) -> str:
    """Arm the dead man's switch, fetch and check the payload and the lock, and install the environment from them.

    Repeatable: what is there already is not installed again.
    """
    lock_url = quote(store.url(store.lock_path(job.lock)))
    payload_url = quote(store.url(store.payload_path(job.payload)))
    return f"""{_ENTER}
minutes=$(( ({int(until.timestamp())} - $(date +%s)) / 60 ))
[ "$minutes" -ge 1 ] || {{ echo 'error: the time of this instance is over' >&2; exit 1; }}
[ "$minutes" -le {ARMED_MINUTES} ] || minutes={ARMED_MINUTES}
shutdown --no-wall -h "+$minutes"
curl --fail --silent --show-error --retry 5 --output lock.txt {lock_url}
curl --fail --silent --show-error --retry 5 --output payload.whl {payload_url}
printf '%s  %s\\n' {job.lock} lock.txt {job.payload} payload.whl | sha256sum --check --quiet
command -v python3.11 >/dev/null || dnf install --assumeyes --quiet python3.11 python3.11-pip
if ! command -v uv >/dev/null; then
cat > uv.txt <<'LOCK'
{payload.lock("uv").decode().strip()}
LOCK
python3.11 -m venv tools
tools/bin/pip install --quiet --require-hashes --requirement uv.txt
export PATH="$PWD/tools/bin:$PATH"
fi
test -x env/bin/python || uv venv --quiet --python python3.11 env
uv pip sync --quiet --python env --require-hashes lock.txt
rm -rf app
env/bin/python -m zipfile --extract payload.whl app
echo "prepared {job.environment}"
"""


def work(job: Job, store: Store, until: datetime) -> str:
    """Run the job's module with its request. What it finds in the store already, it does not do again.

    Ends with the module's exit code. All that it has printed is put into the store; of that SSM gets the end, since
    it keeps the first 24,000 characters of stdout and the first 8,000 of stderr. Where the instance ends before that,
    the last lines are in the job's progress.
    """
    return f"""{_ENTER}
export PYTHONPATH="$PWD/app" PYTHONUNBUFFERED=1
export NM_DISABLE_ANALYTICS=1 NM_VERSION_CHECK=false ORT_DISABLE_TELEMETRY=1
trap : TERM # which all processes get when the instance shuts down: the module ends, and what it printed is kept
code=0
env/bin/python -m sparsebench.{job.module} run --store {quote(store.uri)} --request {quote(job.request)} \\
  --until {until.astimezone(UTC).strftime(MOMENT)} >output.txt 2>errors.txt || code=$?
env/bin/python -m sparsebench.instance.keep_output --store {quote(store.uri)} \\
  --path {quote(store.output_path(job.job))} --file output.txt --file errors.txt || true
tail -c {_STDOUT_BYTES} output.txt
tail -c {_STDERR_BYTES} errors.txt >&2
exit "$code"
"""
