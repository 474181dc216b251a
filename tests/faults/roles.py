"""Who may enter PostgreSQL: roles with drawn passwords, each the owner of its databases or a mere reader."""

import secrets
from typing import NamedTuple

import psycopg

from tests.servers.postgres import PostgresServer


class Role(NamedTuple):
    """A name and its password."""

    name: str
    password: str

    def url(self, server: PostgresServer, database: str) -> str:
        return f"postgresql+psycopg://{self.name}:{self.password}@127.0.0.1:{server.port}/{database}"


def draw_canary() -> str:
    """Return a secret that occurs nowhere else."""
    return f"canary-{secrets.token_hex(8)}"


def make_role(server: PostgresServer) -> Role:
    """Return a new role that may log in, and nothing else."""
    role = Role(f"role_{secrets.token_hex(4)}", draw_canary())
    administer(server, f"CREATE ROLE {role.name} LOGIN PASSWORD '{role.password}'")
    return role


def make_database(server: PostgresServer, owner: Role) -> str:
    """Return the name of a new, empty database."""
    name = server.create_database()
    administer(server, f"ALTER DATABASE {name} OWNER TO {owner.name}")
    return name


def administer(server: PostgresServer, *statements: str, database: str = "postgres") -> None:
    """Run statements as the server's owner, each in a transaction of its own."""
    with psycopg.connect(server.conninfo(database), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
