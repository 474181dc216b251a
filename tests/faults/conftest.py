"""Servers of the fault tests alone: some of them are stopped, and every secret of theirs is a canary.

The canaries are drawn anew each time: written here, they would stand in the uncommitted changes that a version records.
"""

import base64
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.places import FaultPlace
from tests.faults.prefect_server import PrefectServer
from tests.faults.roles import draw_canary, make_database, make_role
from tests.flows.conftest import Zygote, light_projects, prefect_database  # noqa: F401 - fixtures
from tests.servers import seaweed
from tests.servers.faulty_proxy import FaultyProxy
from tests.servers.postgres import PostgresServer, serving_postgres
from tests.servers.seaweed import S3Server, start_s3_server


@pytest.fixture(scope="package")
def own_prefect(
    prefect_database: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("own-prefect") / "home", f"operator:{draw_canary()}")
    shutil.copytree(prefect_database, server.home, dirs_exist_ok=True)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="package")
def own_zygote(own_prefect: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_AUTH_STRING", own_prefect.auth)
        # As `keepfit` does before it imports Prefect, which the zygote imports first; and no longer than needed.
        patch.setenv("PREFECT_CLIENT_MAX_RETRIES", "1")
        patch.setenv("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
        zygote = Zygote(own_prefect.url, tmp_path_factory.mktemp("own-prefect-client"))
    yield zygote
    try:
        zygote.stop()
    except subprocess.TimeoutExpired:  # on a busy machine
        zygote.process.kill()
        zygote.process.communicate()


@pytest.fixture(scope="package")
def own_postgres() -> Iterator[PostgresServer]:
    with serving_postgres() as server:
        yield server


@pytest.fixture(scope="package")
def own_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with pytest.MonkeyPatch.context() as patch:
        plain = seaweed._command
        # So that a test can make users and delete them while they are at work.
        patch.setattr(seaweed, "_command", lambda *where: [*plain(*where), "-s3.iam.readOnly=false"])
        server = start_s3_server(tmp_path_factory.mktemp("own-seaweed"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="package")
def make_place(
    own_zygote: Zygote,
    own_prefect: PrefectServer,
    own_postgres: PostgresServer,
    own_s3: S3Server,
    light_projects: Path,  # noqa: F811
) -> Callable[[Path], FaultPlace]:
    """Return what makes a place: an empty database of a role of its own, and an empty bucket."""
    auth = [own_prefect.auth.partition(":")[2], base64.b64encode(own_prefect.auth.encode()).decode()]

    def make(home: Path) -> FaultPlace:
        role = make_role(own_postgres)
        return FaultPlace(
            own_zygote,
            home,
            {"KEEPFIT_PROJECTS": str(light_projects), **own_s3.env},
            database=role.url(own_postgres, make_database(own_postgres, role)),
            store=f"s3://{own_s3.make_bucket()}/keepfit",
            postgres=own_postgres,
            s3=own_s3,
            prefect=own_prefect,
            canaries=[role.password, own_s3.secret_key, own_s3.reader_secret_key, *auth],
        )

    return make


@pytest.fixture
def place(make_place: Callable[[Path], FaultPlace], tmp_path: Path) -> FaultPlace:
    return make_place(tmp_path / "home")


@pytest.fixture
def proxy(place: FaultPlace) -> Iterator[FaultyProxy]:
    """A proxy before the S3 server; the commands of the place go through it, and it sees each request."""
    between = FaultyProxy(place.s3.endpoint)
    place.environment["AWS_ENDPOINT_URL_S3"] = between.endpoint
    yield between
    between.close()
