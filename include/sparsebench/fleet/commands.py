"""What an instance is told to do, as shell scripts for AWS-RunShellScript.

Every value is quoted. Nothing is used before its digest was checked: the lock carries the hashes of the
packages, and the job carries the digests of the lock and of the payload.
"""

from __future__ import annotations

from datetime import UTC, datetime
from shlex import quote
from typing import Literal

from sparsebench.contracts import Job
from sparsebench.fleet import payload, wheelhouse
from sparsebench.instance.exits import KILLED
from sparsebench.instance.switch import ARMED_MINUTES, MOMENT
from sparsebench.store import Store
from sparsebench.webfile import Limits

Step = Literal["prepare", "work"]

_STDOUT_BYTES, _STDERR_BYTES = 8000, 7000
"""Of the module's output that SSM is given; in stderr there is room for what the script itself has to say."""

# The SSM agent gives a command no HOME, no region and no working folder of its own; /tmp of Amazon Linux is memory.
_ENTER = """set -eu
# To SSM's agent 137 is a time-out, and 194 a wish to reboot.
ended() {{
  code=$?
  case "$code" in
  137) echo 'error: it was killed (SIGKILL): the memory of this instance type is too small for it' >&2; exit {killed} ;;
  194) exit 1 ;;
  esac
}}
trap ended EXIT
export HOME="${{HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}}" AWS_DEFAULT_REGION={region}
mkdir -p "$HOME/sparsebench/tmp"
cd "$HOME/sparsebench"
export TMPDIR="$PWD/tmp"
exec 9>lock
flock 9 # a command that was sent twice waits for the first one, and then finds everything done
"""

# Amazon Linux, or Ubuntu for Graviton. There cloud-init writes what apt reads, and what Ubuntu does by the clock would
# take the processor from what is measured.
_PYTHON = """if ! command -v python3.11 >/dev/null && command -v dnf >/dev/null; then
  dnf install --assumeyes --quiet python3.11 python3.11-pip
elif ! command -v python3.11 >/dev/null; then
  cloud-init status --wait >/dev/null || true
  systemctl stop apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service || true
  export DEBIAN_FRONTEND=noninteractive
  apt-get update --quiet=2 -o APT::Update::Error-Mode=any
  apt-get install --quiet=2 --no-install-recommends -o DPkg::Lock::Timeout=300 python3.11 python3.11-venv
fi"""


def script(step: Step, job: Job, store: Store, until: datetime, region: str) -> str:
    """The script of one step of a job.

    Args:
        until: when the instance ends at the latest, however alive the job is.
        region: where the instance is; nothing on it says so to the SDK.
    """
    return _ENTER.format(killed=KILLED, region=quote(region)) + {"prepare": prepare, "work": work}[step](
        job, store, until
    )


def prepare(job: Job, store: Store, until: datetime) -> str:
    """Arm the dead man's switch, fetch and check the payload and the lock, and install the environment from them: of
    the wheels that the store has of the lock, or else from the registry. Either way the lock's hashes are held.

    Repeatable: what is there already is not installed again.
    """
    lock_url = quote(store.url(store.lock_path(job.lock)))
    payload_url = quote(store.url(store.payload_path(job.payload)))
    return f"""
minutes=$(( ({int(until.timestamp())} - $(date +%s)) / 60 ))
[ "$minutes" -ge 1 ] || {{ echo 'error: the time of this instance is over' >&2; exit 1; }}
[ "$minutes" -le {ARMED_MINUTES} ] || minutes={ARMED_MINUTES}
shutdown --no-wall -h "+$minutes"
curl --fail --silent --show-error --retry 5 --output lock.txt {lock_url}
curl --fail --silent --show-error --retry 5 --output payload.whl {payload_url}
printf '%s  %s\\n' {job.lock} lock.txt {job.payload} payload.whl | sha256sum --check --quiet
{_wheels(job, store)}
{environment()}
rm -rf app wheels wheels.tar
env/bin/python -m zipfile --extract payload.whl app
echo "prepared {job.environment}"
"""


def environment() -> str:
    """The part of ``prepare`` that makes ``env`` of ``lock.txt``, both in the working folder, and of ``wheels`` where
    that is there. An image is baked with it, too: of what is there already, nothing is done again."""
    return f"""{_PYTHON}
# Says whether it was from the wheels that the store has; where that fails, from the registry.
install() {{
  if [ -d wheels ] && "$@" --no-index --find-links wheels; then echo 'from the wheelhouse'; else "$@"; fi
}}
export PATH="$PWD/tools/bin:$PATH"
if ! command -v uv >/dev/null; then
cat > uv.txt <<'LOCK'
{payload.lock("uv").decode().strip()}
LOCK
python3.11 -m venv tools
install tools/bin/pip install --quiet --require-hashes --requirement uv.txt
fi
test -x env/bin/python || uv venv --quiet --python python3.11 env
install uv pip sync --quiet --python env --require-hashes lock.txt"""


def _wheels(job: Job, store: Store) -> str:
    """How the folder of the lock's wheels is had, where the store has them."""
    path = wheelhouse.path_of(store, job.lock, job.architecture)
    if not store.exists(path):
        return ""
    return f"""rm -rf wheels wheels.tar
if curl --fail --silent --show-error --retry 5 --output wheels.tar {quote(store.url(path))}; then
  mkdir wheels
  tar --extract --no-same-owner --no-same-permissions --file wheels.tar --directory wheels || rm -rf wheels
  find wheels -mindepth 1 ! -type f -delete # a pipe with a wheel's name would be waited for
fi"""


def work(job: Job, store: Store, until: datetime) -> str:
    """Run the job's module with its request. What it finds in the store already, it does not do again.

    Ends with the module's exit code. All that it has printed is put into the store; of that SSM gets the end, since
    it keeps the first 24,000 characters of stdout and the first 8,000 of stderr. Where the instance ends before that,
    the last lines are in the job's progress.

    The agent kills the process group of a command that is cancelled, or takes too long, at once. So what keeps the
    output is in a session of its own: it waits for a lock that the module holds as long as it lives, without using the
    processor, and SIGTERM at the shutdown of the instance does not end it.
    """
    limits = " ".join(f"{name}={quote(value)}" for name, value in Limits.configured().variables().items())
    return f"""
export PYTHONPATH="$PWD/app" PYTHONUNBUFFERED=1
export {limits}
export NM_DISABLE_ANALYTICS=1 NM_VERSION_CHECK=false ORT_DISABLE_TELEMETRY=1
trap : TERM # which all processes get when the instance shuts down: the module ends, and what it printed is kept
: >output.txt
: >errors.txt
exec 8>running
flock 8
setsid sh -c 'trap "" TERM; exec 8>&-; exec flock running "$@"' keep \\
  env/bin/python -m sparsebench.instance.keep_output \\
  --store {quote(store.uri)} --path {quote(store.output_path(job.job))} --file output.txt --file errors.txt \\
  </dev/null >/dev/null 2>kept.txt &
keeper=$!
code=0
env/bin/python -m sparsebench.{job.module} run --store {quote(store.uri)} --request {quote(job.request)} \\
  --until {until.astimezone(UTC).strftime(MOMENT)} >output.txt 2>errors.txt || code=$?
exec 8>&-
wait "$keeper" || cat kept.txt >&2
tail -c {_STDOUT_BYTES} output.txt
tail -c {_STDERR_BYTES} errors.txt >&2
exit "$code"
"""
