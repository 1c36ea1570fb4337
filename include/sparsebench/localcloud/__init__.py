"""An emulated cloud on one machine: EC2 and SSM whose instances really run what they are told to.

moto's server answers for EC2, S3, IAM, STS and SSM parameters. A layer in front of it adds what moto lacks:
a ClientToken that is honoured, faults on demand, an SSM agent that comes online and really runs commands,
and each instance's metadata service. An instance is a folder, an environment and the processes in it;
terminating it ends them.

Whoever sets ``AWS_ENDPOINT_URL`` to its address, ``AWS_ACCESS_KEY_ID`` to ``localcloud`` and
``AWS_SECRET_ACCESS_KEY`` to what the file ``secret-access-key`` in its folder holds, uses it from boto3 or the AWS CLI.
It listens on loopback only, takes nothing that is not signed, and runs what it is sent as the user who started it: an
instance is no security boundary.
"""

from sparsebench.localcloud.config import Config
from sparsebench.localcloud.launcher import LocalCloud, running

__all__ = ["Config", "LocalCloud", "running"]
