"""Real servers on this machine: one for files, and one that stands in for Google Drive."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@contextmanager
def serve(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(BaseHTTPRequestHandler):
    def answer(self, code: int, body: bytes = b"", announced: int | None = None, **headers: str) -> None:
        """A body that may be shorter than what is announced; then the connection ends."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def files(content: dict[str, bytes]) -> Iterator[str]:
    """The address of a server of these files; of one under /half/ it sends half, under /broken/ there is an error."""

    class Handler(_Quiet):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].removeprefix("/")
            if name.startswith("half/"):
                whole = content[name.removeprefix("half/")]
                self.answer(200, whole[: len(whole) // 2], announced=len(whole))
            elif name.startswith("broken/"):
                self.answer(503)
            elif name in content:
                self.answer(200, content[name])
            else:
                self.answer(404)

    with serve(Handler) as address:
        yield address


@contextmanager
def google_drive(content: dict[str, bytes], folder: Path) -> Iterator[dict[str, str]]:
    """Environment variables with which a program takes this machine for Google Drive.

    Files by id. A file is given after a question, as Google asks for large ones; of an id that begins with ``half``
    half is sent; an unknown one is not shared.
    """
    certificate = _certificate(folder, "drive.google.com")

    class Drive(_Quiet):
        def do_GET(self) -> None:
            identity = self.path.partition("id=")[2].partition("&")[0]
            if identity not in content:
                self.answer(200, b"<html>You need access</html>", Content_Type="text/html")
            elif "confirm=" not in self.path:
                submission = (
                    '<form id="download-form" action="https://drive.google.com/uc">'
                    f'<input type="hidden" name="id" value="{identity}">'
                    '<input type="hidden" name="confirm" value="t"></form>'
                )
                self.answer(200, submission.encode(), Content_Type="text/html")
            else:
                whole = content[identity]
                sent = whole[: len(whole) // 2] if identity.startswith("half") else whole
                self.answer(200, sent, len(whole), Content_Type="x/x", Content_Disposition='attachment; filename="f"')

    class Proxy(_Quiet):
        def do_CONNECT(self) -> None:
            self.send_response(200)
            self.end_headers()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            with context.wrap_socket(self.connection, server_side=True) as secured:
                Drive(secured, self.client_address, self.server)
            self.close_connection = True

    with serve(Proxy) as address:
        yield {"HTTPS_PROXY": address, "https_proxy": address, "REQUESTS_CA_BUNDLE": str(certificate)}


def _certificate(folder: Path, host: str) -> Path:
    """A certificate that signs itself, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
