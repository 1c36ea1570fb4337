"""Python imports this in every process that has the folder on its path: no network, and a note of who tried."""

import os
import socket


def refuse(*arguments: object, **_: object) -> None:
    if any("127.0.0.1" in str(argument) for argument in arguments):
        raise ConnectionRefusedError(arguments)
    with open(os.environ["NETWORK_ATTEMPTS"], "a") as log:
        log.write(f"{arguments[-1] if isinstance(arguments[-1], tuple) else arguments[0]}\n")
    raise OSError("no network in this test")


socket.getaddrinfo = refuse  # type: ignore[assignment]
socket.socket.connect = refuse  # type: ignore[method-assign]
