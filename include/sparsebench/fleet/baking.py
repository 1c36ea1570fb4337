"""An image with the bench environment in it, for those who sweep every night: what Packer makes it from."""

from __future__ import annotations

from pathlib import Path

from sparsebench.contracts import sha256
from sparsebench.errors import BadInput
from sparsebench.fleet import payload
from sparsebench.fleet.commands import environment

BASE = {
    "x86_64": ("amazon", "al2023-ami-2023.*-kernel-6.*-x86_64", "ec2-user", "m7i.large"),
    "arm64": ("099720109477", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-*", "ubuntu", "m7g.large"),
}
"""By architecture: whose image it begins with, the image's name, its user, and an instance type to bake on."""

_SCRIPT = """#!/bin/sh
# Makes the environment where `prepare` looks for it: an instance of this image then has it, and is ready at once.
set -eu
export HOME="$(getent passwd "$(id -u)" | cut -d: -f6)"
mkdir -p "$HOME/sparsebench/tmp"
cp lock.txt "$HOME/sparsebench/lock.txt"
cd "$HOME/sparsebench"
export TMPDIR="$PWD/tmp"
{environment}
rm -rf tmp "$HOME/.cache"
"""

_TEMPLATE = """# sparsebench's bench environment for {architecture}, lock {lock}: `packer init . && packer build .`
# It needs no key and no open port: Packer gets in by SSM, with the instance profile of the stack.
packer {{
  required_plugins {{
    amazon = {{
      source  = "github.com/hashicorp/amazon"
      version = "~> 1"
    }}
  }}
}}

variable "instance_profile" {{
  type = string
}}

source "amazon-ebs" "bench" {{
  ami_name             = "sparsebench-{architecture}-{lock}-${{formatdate("YYYYMMDDhhmm", timestamp())}}"
  instance_type        = "{instance_type}"
  iam_instance_profile = var.instance_profile
  ssh_username         = "{user}"
  ssh_interface        = "session_manager"
  communicator         = "ssh"
  encrypt_boot         = false # an encrypted image is launched only by who may use its key
  metadata_options {{
    http_tokens = "required"
  }}
  source_ami_filter {{
    owners      = ["{owner}"]
    most_recent = true
    filters = {{
      name                = "{name}"
      architecture        = "{architecture}"
      virtualization-type = "hvm"
    }}
  }}
}}

build {{
  sources = ["source.amazon-ebs.bench"]
  provisioner "file" {{
    source      = "lock.txt"
    destination = "/var/tmp/lock.txt"
  }}
  provisioner "shell" {{
    script          = "environment.sh"
    execute_command = "cd /var/tmp && sudo sh {{{{.Path}}}}"
  }}
}}
"""


def write(folder: Path, architecture: str) -> None:
    """Put what Packer needs into a folder: its template, the script, and the lock.

    Raises:
        BadInput: there are no instances of the architecture, or the folder has something in it.
    """
    if architecture not in BASE:
        raise BadInput(f"architecture: {architecture!r} is not one of {', '.join(BASE)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is there already: give a folder that is new, or empty")
    folder.mkdir(parents=True, exist_ok=True)
    owner, name, user, instance_type = BASE[architecture]
    lock = payload.lock("bench")
    fields = {"owner": owner, "name": name, "user": user, "instance_type": instance_type}
    (folder / "lock.txt").write_bytes(lock)
    (folder / "environment.sh").write_text(_SCRIPT.format(environment=environment()))
    (folder / "bench.pkr.hcl").write_text(_TEMPLATE.format(architecture=architecture, lock=sha256(lock)[:12], **fields))
