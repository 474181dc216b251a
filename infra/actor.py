"""Who acts, for the audit."""

import os
from getpass import getuser


def actor_name() -> str:
    """Return who acts, for the audit: KEEPFIT_ACTOR, or the user of this process."""
    if actor := os.environ.get("KEEPFIT_ACTOR"):
        return actor
    try:
        return getuser()
    except (KeyError, OSError):  # containers run under numbers that no account has
        return f"uid {os.getuid()}"
