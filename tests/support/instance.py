"""Stand-ins for what only an instance has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

LIFE_CYCLE = "meta-data/instance-life-cycle"
NOTICE = "meta-data/spot/instance-action"
TERMINATE = '{"action": "terminate", "time": "2026-11-24T02:02:00Z"}'


@dataclass
class Metadata:
    """What a metadata service answers, and what it was asked for."""

    answers: dict[str, str | Callable[[], str | None]]
    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def metadata_service(**answers: str | Callable[[], str | None]) -> Iterator[Metadata]:
    """A real one, version 2, on this machine. Answers: ``life_cycle`` and ``notice``."""
    paths = {"life_cycle": LIFE_CYCLE, "notice": NOTICE}
    service = Metadata({paths[name]: answer for name, answer in answers.items()})

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            known = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
            self.answer(200 if known else 400, "the-token")

        def do_GET(self) -> None:
            if self.headers["X-aws-ec2-metadata-token"] != "the-token":
                return self.answer(401)
            path = self.path.removeprefix("/latest/")
            service.asked.append(path)
            answer = service.answers.get(path)
            text = answer() if callable(answer) else answer
            return self.answer(200, text) if text else self.answer(404)

        def answer(self, status: int, text: str = "") -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        service.url = f"http://127.0.0.1:{server.server_port}"
        yield service
        server.shutdown()


@dataclass
class Shutdown:
    """A program of that name in ``folder``, which is to be put on the PATH; it notes how it was called."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        program = self.folder / "shutdown"
        program.write_text(f'#!/bin/sh\necho "$*" >> {self.folder}/calls\n')
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []
