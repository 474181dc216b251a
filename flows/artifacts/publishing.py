"""How an artifact gets on a run's page: where there is a run, and without ever failing it.

What belongs to one run has no key: the UI then opens it with one click. What goes on from run to run has one.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import httpx
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from infra.errors import KeepfitError
from infra.figures import tell

logger = logging.getLogger(__name__)

MARKUP = re.compile(r"[\\`*~|\[\]]|(?<!\w)_|_(?!\w)")
"""What Markdown reads as more than itself; within a word, as in `roc_auc`, an underscore is just that."""


def has_page() -> bool:
    """Return whether this is a flow run: without one there is no page to put anything on."""
    return FlowRunContext.get() is not None


@contextmanager
def publishing(what: str) -> Iterator[None]:
    """Let the body put something on the run's page; where it cannot, that is logged and fails nothing.

    What the run did is done and in the ledger, whatever its page says.

    Parameters
    ----------
    what
        What is put there, for the log, e.g. "the verdict".
    """
    try:
        yield
    except (PrefectException, httpx.HTTPError, KeepfitError) as error:
        logger.warning("%s could not be put on the run's page: %s", what, error)


def artifact_key(project: str, kind: str) -> str:
    """Return the key under which Prefect gathers all artifacts of a kind; it takes a-z, 0-9 and - alone."""
    return f"{project.replace('_', '-')}-{kind}"


def words(text: object) -> str:
    r"""Return what people or data wrote as words for Markdown: one line, in a table one cell, no HTML, link or picture.

    >>> words("a|b\n<img> ![](http://there)")
    'a\\|b &lt;img&gt; !\\[\\](http://there)'
    """
    return MARKUP.sub(r"\\\g<0>", escape(" ".join(str(text).split()), quote=False))


def figure(value: float | None) -> str:
    """Return a number with four decimals, see `infra.figures`; nothing for None."""
    return "" if value is None else tell(value)
