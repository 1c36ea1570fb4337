"""The key without which the server takes no call: it runs what it is sent, and any user of this machine reaches it."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

ACCESS_KEY_ID = "localcloud"
FILE = "secret-access-key"
KEY_HEADER = "X-Localcloud-Key"
"""Of the server's own addresses, which no AWS SDK signs."""


@dataclass(frozen=True)
class Keys:
    """The keys of whoever may use the cloud that works in a folder."""

    secret: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The environment for boto3, s3fs and the AWS CLI."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": self.secret}

    @property
    def boto3(self) -> dict[str, str]:
        return {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": self.secret}

    @property
    def headers(self) -> dict[str, str]:
        return {KEY_HEADER: self.secret}

    def name_of(self, instance_id: str) -> str:
        """What an instance calls itself where it asks for its own credentials: nobody else can make it up."""
        digest = hmac.new(self.secret.encode(), instance_id.encode(), hashlib.sha256).hexdigest()
        return f"{instance_id}.{digest[:40]}"

    def instance_of(self, name: str) -> str | None:
        """The id of the instance that has this name."""
        instance_id = name.partition(".")[0]
        return instance_id if hmac.compare_digest(self.name_of(instance_id).encode(), name.encode()) else None


def keys(root: Path) -> Keys:
    """Those of a folder: made at the first time, and kept in a file that only its owner reads. Where the environment
    has a secret for this access key, as in a container, it is that one."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / FILE
    draft = root / f".{secrets.token_hex(8)}"
    if not path.exists():
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            given = os.environ.get("AWS_ACCESS_KEY_ID") == ACCESS_KEY_ID and os.environ.get("AWS_SECRET_ACCESS_KEY")
            file.write(given or secrets.token_urlsafe(30))
        try:
            os.link(draft, path)  # of two at once, one is first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return Keys(path.read_text())
