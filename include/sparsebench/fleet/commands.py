"""What an instance is told to do, as shell scripts for AWS-RunShellScript.

Every value is quoted. Nothing is used before its digest was checked: the lock carries the hashes of the
packages, and the job carries the digests of the lock and of the payload.
"""

from __future__ import annotations

from shlex import quote
from typing import Literal

from sparsebench.contracts import Job
from sparsebench.fleet import payload
from sparsebench.store import Store

Step = Literal["prepare", "work"]

# The SSM agent gives a command neither a useful HOME nor a working folder.
_ENTER = """set -eu
export HOME="${HOME:-/root}"
mkdir -p "$HOME/sparsebench"
cd "$HOME/sparsebench"
"""


def script(step: Step, job: Job, store: Store) -> str:
    """The script of one step of a job."""
    return {"prepare": prepare, "work": work}[step](job, store)


def prepare(job: Job, store: Store) -> str:
    """Fetch and check the payload and the lock, and install the environment from them. Repeatable."""
    lock_url = quote(store.url(store.lock_path(job.lock)))
    payload_url = quote(store.url(store.payload_path(job.payload)))
    return f"""{_ENTER}
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


def work(job: Job, store: Store) -> str:
    """Run the job's module with its request. What it finds in the store already, it does not do again."""
    return f"""{_ENTER}
export PYTHONPATH="$PWD/app" PYTHONUNBUFFERED=1
export NM_DISABLE_ANALYTICS=1 NM_VERSION_CHECK=false
exec env/bin/python -m sparsebench.{job.environment} run --store {quote(store.uri)} --request {quote(job.request)}
"""
