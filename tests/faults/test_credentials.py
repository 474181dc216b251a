"""Credentials that are wrong, may only read, or are deleted, at the start and in mid-run (FAULTS.md row 22)."""

import json
import time
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.faults.invariants import check_invariants, look
from tests.faults.places import FaultPlace
from tests.faults.roles import Role, administer, draw_canary, make_role
from tests.servers.faulty_proxy import FaultyProxy
from tests.servers.seaweed import S3Server

pytestmark = [pytest.mark.engine, pytest.mark.servers, pytest.mark.xdist_group("faults")]

SOON_S = 30


def refused_at_start(place: FaultPlace, **environment: str) -> str:
    """Return what a run says that must end at once, with nothing made."""
    began = time.monotonic()
    code, said = place.keepfit("run", "iris", **environment)
    assert code == 1, said
    assert time.monotonic() - began < SOON_S
    assert "Traceback" not in said
    assert said.count("keepfit:") == 1
    return said


def test_a_store_that_lets_nobody_write_is_told_before_a_run_is_made(place: FaultPlace, proxy: FaultyProxy) -> None:
    wrong = draw_canary()
    place.canaries.append(wrong)
    reader = {name: place.s3.reader_env[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    cases = {
        "SignatureDoesNotMatch": {"AWS_SECRET_ACCESS_KEY": wrong},
        "InvalidAccessKeyId": {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": wrong},
        "AccessDenied": reader,
    }
    for name, environment in cases.items():
        proxy.requests.clear()
        said = refused_at_start(place, **environment)
        assert f"{name} (status 403)" in said
        assert ("they need to read, write" if name == "AccessDenied" else "Check AWS_ACCESS_KEY_ID") in said
        assert len(proxy.requests) == 1, "another attempt would end the same way"
    with place.registry() as registry:
        assert registry.runs() == []
    check_invariants(place)


class User(NamedTuple):
    """A user of the S3 server that can be changed while it is used."""

    name: str
    iam: Any
    key: dict[str, str]

    @property
    def env(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": self.key["SecretAccessKey"]}

    def allow(self, *actions: str) -> None:
        statement = [{"Effect": "Allow", "Action": list(actions), "Resource": ["arn:aws:s3:::*"]}]
        document = json.dumps({"Version": "2012-10-17", "Statement": statement})
        self.iam.put_user_policy(UserName=self.name, PolicyName="policy", PolicyDocument=document)

    def delete(self) -> None:
        self.iam.delete_access_key(UserName=self.name, AccessKeyId=self.key["AccessKeyId"])


def make_user(server: S3Server) -> User:
    import boto3

    name = f"user-{uuid4().hex[:8]}"
    keys: Any = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
    iam = boto3.client("iam", endpoint_url=server.endpoint, region_name="us-east-1", **keys)
    iam.create_user(UserName=name)
    key: Any = iam.create_access_key(UserName=name)["AccessKey"]
    return User(name, iam, key)


def wait_until(place: FaultPlace, user: User, *, code: str) -> None:
    """Return when a put of this user's ends with this code of an error; "" where it ends well."""
    import boto3

    keys: Any = {"aws_access_key_id": user.key["AccessKeyId"], "aws_secret_access_key": user.key["SecretAccessKey"]}
    client = boto3.client("s3", endpoint_url=place.s3.endpoint, region_name="us-east-1", **keys)
    found, give_up = "?", time.monotonic() + 20
    while found != code and time.monotonic() < give_up:
        try:
            client.put_object(Bucket=place.bucket[0], Key=f"{place.bucket[1]}/probe/user", Body=b"")
            found = ""
        except ClientError as error:
            found = error.response["Error"]["Code"]
        time.sleep(0.05)
    client.close()
    assert found == code


def test_a_user_of_the_store_that_is_changed_in_mid_run_ends_it_at_once(place: FaultPlace, proxy: FaultyProxy) -> None:
    """First it may only read, in the next run it is deleted; the run after that is let in and goes on."""
    user = make_user(place.s3)
    place.canaries.append(user.key["SecretAccessKey"])
    before = dict(place.environment)
    place.environment |= user.env
    changes = {"AccessDenied": lambda: user.allow("s3:Get*", "s3:List*"), "InvalidAccessKeyId": user.delete}
    for name, change in changes.items():
        user.allow("s3:*")
        wait_until(place, user, code="")
        with place.stopped_at("train.start", "run", "iris") as command:
            change()
            wait_until(place, user, code=name)
            proxy.requests.clear()
        assert command.code == 1, command.said
        assert f"{name} (status 403)" in command.said
        assert "Traceback" not in command.said
        assert command.seconds < SOON_S
        check_invariants(place)
        with place.registry() as registry:
            assert registry.runs("iris")[0].state == "failed"
            assert registry.champion("iris").version is None

    place.environment |= before
    code, said = place.keepfit("run", "iris")
    assert code == 0, said
    check_invariants(place)


@pytest.fixture
def reader(place: FaultPlace) -> Role:
    """A role that may read every table of the registry."""
    with place.registry():
        pass  # makes the tables
    role = make_role(place.postgres)
    place.canaries.append(role.password)
    administer(
        place.postgres,
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role.name}",
        database=place.database.rpartition("/")[2],
    )
    return role


def test_a_database_that_lets_nobody_write_is_told_before_a_run_is_made(place: FaultPlace, reader: Role) -> None:
    wrong = draw_canary()
    place.canaries.append(wrong)
    owner, database = place.database.split("//")[1].split(":")[0], place.database.rpartition("/")[2]
    cases = {
        "password authentication failed": Role(owner, wrong),
        "authentication failed for user": Role("nobody_of_that_name", wrong),
        "permission denied for table": reader,
    }
    for said_of_it, role in cases.items():
        said = refused_at_start(place, KEEPFIT_DATABASE_URL=role.url(place.postgres, database))
        assert said_of_it in said
        assert "KEEPFIT_DATABASE_URL" in said
        assert "Trying again" not in said
    administer(place.postgres, f"ALTER ROLE {reader.name} SET default_transaction_read_only = on")
    said = refused_at_start(place, KEEPFIT_DATABASE_URL=reader.url(place.postgres, database))
    assert "read-only transaction" in said
    assert "KEEPFIT_DATABASE_URL" in said
    with place.registry() as registry:
        assert registry.runs() == []
    check_invariants(place)


TAKEN = {
    "read-only": (
        "REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM {role}",
        "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        "permission denied for table",
    ),
    "deleted": (
        "ALTER ROLE {role} NOLOGIN",
        "ALTER ROLE {role} LOGIN",
        "is not permitted to log in",
    ),
}


def test_a_role_that_is_changed_in_mid_run_ends_it_and_the_next_goes_on(place: FaultPlace) -> None:
    role, database = place.database.split("//")[1].split(":")[0], place.database.rpartition("/")[2]
    for number, (take, give, said_of_it) in enumerate(TAKEN.values(), start=1):
        with place.stopped_at("train.start", "run", "iris") as command:
            administer(place.postgres, take.format(role=role), database=database)
            leave = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
            administer(place.postgres, leave)
        assert command.code == 1, command.said
        assert said_of_it in command.said
        assert "KEEPFIT_DATABASE_URL" in command.said
        assert "Traceback" not in command.said
        assert command.seconds < SOON_S
        administer(place.postgres, give.format(role=role), database=database)
        with place.registry() as registry:
            registry.end_dead_runs("tester")
        check_invariants(place)
        states = [row["state"] for row in look(place).tables["run"]]
        assert states == ["crashed"] * number, "nobody could be told how it ended"

    code, said = place.keepfit("run", "iris")
    assert code == 0, said
    check_invariants(place)
