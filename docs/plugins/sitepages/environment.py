"""The environment variables that programs of this project read or set."""

from typing import NamedTuple

from sakuga.gateway import KEY
from sakuga_core.config.file import JOBS, URL
from sakuga_core.logs import LOG_FORMAT
from sakuga_core.protocol import ADMIN_KEY
from sakuga_gateway.jobs.webhooks import SECRET
from sakuga_server.parent_watch import PREFIX
from sakuga_server.runtime.binaries import HOME
from sakuga_server.stderr import FOLDER


class Variable(NamedTuple):
    """An environment variable."""

    name: str
    meaning: str


# For people to set.
PUBLIC = (
    Variable(
        "SAKUGA_CONFIG", "the config.yaml to use, where no `--config` and no argument names one"
    ),
    Variable(URL, "replaces `server.url`"),
    Variable(JOBS, "replaces `gateway.jobs`"),
    Variable(KEY, "a gateway's key, which clients send to it"),
    Variable(ADMIN_KEY, "the key of a server's administration; without it a server makes one"),
    Variable(SECRET, "the secret by which a gateway signs webhooks: `whsec_` and base64"),
    Variable(HOME, "the folder of an installed Triton, which `sakuga serve` then runs"),
    Variable("SAKUGA_BIND", "of docker/compose.yaml: the address of this machine to listen on"),
    Variable("SAKUGA_NETWORKS", "of docker/compose.yaml: the networks to export"),
    Variable("HF_ENDPOINT", "a mirror of the Hugging Face Hub, for `sakuga export`"),
    Variable("XDG_CACHE_HOME", "the user's cache, with weights and runtime repositories"),
    Variable("XDG_CONFIG_HOME", "the user's configuration, with `sakuga/config.yaml`"),
    Variable("XDG_DATA_HOME", "the user's data, with a repository and the gateway's jobs"),
)

# Set by a server for the processes that it starts.
INTERNAL = (
    Variable(LOG_FORMAT, "the format of their logs"),
    Variable(FOLDER, "the folder that takes what C libraries print"),
    Variable(PREFIX, "the beginning of their shared memory's names"),
)
