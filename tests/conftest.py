"""Fixtures of every test: the real servers, started when a test asks for one."""

from tests.servers.postgres import *  # noqa: F403
from tests.servers.seaweed import *  # noqa: F403
