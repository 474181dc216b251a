"""Fixtures of every test: the real servers, started when a test asks for one. And how Hypothesis searches."""

import gc
import os
import signal

from hypothesis import settings

from tests.servers.groups import *  # noqa: F403
from tests.servers.loop import *  # noqa: F403
from tests.servers.postgres import *  # noqa: F403
from tests.servers.seaweed import *  # noqa: F403
from tests.servers.stack import *  # noqa: F403

# A shell that runs the tests with `&` has SIGINT ignored, in all that they start as well: a Prefect worker never stops then.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: the first example often pays for an import. `make test` looks at the same examples each time, so that a
# newcomer's run tells of the code and not of luck; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("keepfit", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "keepfit"))


gc.disable()  # until all is imported: there is no garbage in that, and the search takes a fifth of the time


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage as well."""
    gc.freeze()
    gc.enable()
