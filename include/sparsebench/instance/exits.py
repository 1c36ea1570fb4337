"""How a program of ours ends that is not done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sparsebench.errors import BadInput, SparsebenchError

INTERRUPTED = 75
"""Exit code: another instance can go on with what is missing. (EX_TEMPFAIL of sysexits.h.)"""

REFUSED = 65
"""Exit code: what was asked for can never be done as it was asked. (EX_DATAERR of sysexits.h.)"""

KILLED = 71
"""Exit code of a script whose job was killed: SSM takes a script's 137 for a time-out. (EX_OSERR of sysexits.h.)"""


class Interrupted(Exception):
    """EC2 takes the instance away; the message says when."""


@contextmanager
def exit_codes(failed: int, refused: int | None = None) -> Iterator[None]:
    """Errors that are shown to a person as one line on stderr and the exit code ``failed``; an interruption as
    INTERRUPTED. refused: of bad input, which another try does not mend; None: as of the others."""
    try:
        yield
    except SparsebenchError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(refused if refused and isinstance(error, BadInput) else failed) from error
    except Interrupted as notice:
        print(f"interrupted: {notice}", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from notice
