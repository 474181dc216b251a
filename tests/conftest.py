"""Fixtures of every test: the real servers, started when a test asks for one. And how Hypothesis searches."""

import os

from hypothesis import settings

from tests.servers.postgres import *  # noqa: F403
from tests.servers.seaweed import *  # noqa: F403

# No deadline: the first example often pays for an import. CI looks at the same examples each time.
settings.register_profile("keepfit", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("keepfit")
