"""Pools, deployments and real workers on the session's Prefect server, each worker in a folder and home of its own."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL, temporary_settings

ROOT = Path(__file__).parents[2]
CHECKOUT = ("flows", "tasks", "infra", "requirements.lock")


@dataclass
class Shop:
    """Where workers of this test module are started, and what they are told of the world."""

    url: str
    folder: Path
    environment: dict[str, str]
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def client(self) -> SyncPrefectClient:
        with temporary_settings({PREFECT_API_URL: self.url}):
            return get_client(sync_client=True)

    def deploy(self, name: str, pool: str) -> None:
        """Deploy `fit` under this name, on a pool that is made where it is missing."""
        pull = [{"prefect.deployments.steps.set_working_directory": {"directory": "{{ $KEEPFIT_CHECKOUT }}"}}]
        with self.client() as client:
            with suppress(ObjectAlreadyExists):
                client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
            flow = client.create_flow_from_name("fit")
            client.create_deployment(
                flow, name, entrypoint="flows.fitting.fit", path=".", pull_steps=pull, work_pool_name=pool
            )

    def withdraw(self, pool: str) -> None:
        """Remove a pool with its workers and their deployments."""
        self.stop()
        with self.client() as client:
            in_pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
            for deployment in client.read_deployments(work_pool_filter=in_pool):
                client.delete_deployment(deployment.id)
            client.delete_work_pool(pool)

    def pretend_worker(self, pool: str, name: str = "busy") -> None:
        """Let a worker be seen on the pool that takes no work for now."""
        with self.client() as client:
            client.send_worker_heartbeat(pool, name, heartbeat_interval_seconds=60)

    def start_worker(self, pool: str, name: str, *options: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a worker with a checkout, a home and a working directory that nobody else has."""
        home = self.folder / name
        checkout = home / "checkout"
        if not checkout.exists():
            checkout.mkdir(parents=True)
            for part in CHECKOUT:
                (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, checkout / part)
            (home / "projects" / "table").mkdir(parents=True)
        spec = Path(self.environment["KEEPFIT_PROJECTS"]) / "table" / "project.yaml"
        shutil.copy(spec, home / "projects" / "table")  # the rows stay where they are: training gets its own
        own = {
            "HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
            "KEEPFIT_HOME": str(home / "keepfit"),
            "KEEPFIT_PROJECTS": str(home / "projects"),
            "KEEPFIT_CHECKOUT": str(checkout),
            "KEEPFIT_WORKER": name,
            "PYTHONPATH": str(checkout),
            "PREFECT_API_URL": self.url,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_WORKER_HEARTBEAT_SECONDS": "2",
        }
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "NO_PROXY", "no_proxy") if key in os.environ}
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--name", name, *options]
        with (home / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                command,
                env={**kept, **self.environment, **own, **environment},
                cwd=home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def log_of(self, name: str) -> str:
        return (self.folder / name / "worker.log").read_text()

    def children(self, name: str) -> list[FlowRun]:
        """Return the runs of the deployment `fit/name`, the first one first."""
        wanted = DeploymentFilter(name=DeploymentFilterName(any_=[name]))
        return sorted(self._asking.read_flow_runs(deployment_filter=wanted), key=lambda run: str(run.created))

    @cached_property
    def _asking(self) -> SyncPrefectClient:
        """A client that stays: tests ask for the children five times a second, and opening one takes longer than an answer."""
        return self.client().__enter__()

    def stop(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(timeout=20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self.workers.clear()
        if (asking := self.__dict__.pop("_asking", None)) is not None:
            asking.__exit__(None, None, None)
