"""Where things are: the `KEEPFIT_…` environment variables and their defaults.

What a project does stands in its project.yaml; what one run does, in the flow's parameters.
"""

import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.errors import SettingsError
from infra.suggestion import suggest

STORE_SCHEMES = ("file", "s3")
DATABASE_SCHEMES = ("sqlite", "postgresql+psycopg", "postgresql")


class Settings(BaseSettings):
    """The environment of one process.

    `home` holds all that keepfit writes locally. `store_url` is `file:///folder` or `s3://bucket/prefix`; endpoint,
    region and credentials of S3 come from where boto3 looks for them (`AWS_ENDPOINT_URL_S3`, `AWS_REGION`,
    `AWS_ACCESS_KEY_ID`, a profile, a role). `database_url` is an SQLAlchemy URL of SQLite or PostgreSQL.
    """

    model_config = SettingsConfigDict(env_prefix="KEEPFIT_", frozen=True, extra="ignore")

    home: Path = Path(".keepfit")
    projects: Path = Path("projects")
    store_url: str = ""
    database_url: SecretStr = SecretStr("")
    store_deadline_s: float = 300.0

    @property
    def store(self) -> str:
        """The store's URL, by default a folder under `home`."""
        url = self.store_url or (self.home.resolve() / "store").as_uri()
        scheme = urlsplit(url).scheme
        if scheme not in STORE_SCHEMES:
            raise SettingsError(
                f"KEEPFIT_STORE_URL: expected file:///folder or s3://bucket/prefix, received the scheme {scheme!r}.",
                remedy="Leave it out to keep artifacts under KEEPFIT_HOME.",
            )
        return url

    @property
    def database(self) -> str:
        """The registry's URL, password included: never print it."""
        url = self.database_url.get_secret_value() or f"sqlite:///{quote(str(self.home.resolve()))}/registry.db"
        scheme = url.partition(":")[0]
        if scheme not in DATABASE_SCHEMES:
            raise SettingsError(
                f"KEEPFIT_DATABASE_URL: expected one of {', '.join(DATABASE_SCHEMES)}, received {scheme!r}.",
                remedy="Leave it out to use SQLite under KEEPFIT_HOME.",
            )
        return url.replace("postgresql://", "postgresql+psycopg://", 1)


PREFIX = "KEEPFIT_"
OTHER_VARIABLES = ("ACTOR", "CHECKOUT", "COMMIT", "DEBUG", "FAULT_POINT", "FAULT_SIGNAL", "NO_GPU", "STACK", "WORKER")
"""Read elsewhere: who acts, where a worker's checkout lies and of which commit an image was made, --debug, fault points, which worker this is."""


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Return the settings of this process, read once.

    Raises
    ------
    SettingsError
        A value is wrong, or a KEEPFIT_… variable is nearly one that is read: a misspelt one must not be ignored in
        silence. Any other name is free, for a project's own `url_env`.
    """
    known = [*(name.upper() for name in Settings.model_fields), *OTHER_VARIABLES]
    for name in sorted(os.environ):
        word = name.removeprefix(PREFIX)
        if word != name and word not in known and (meant := suggest(word, known)):
            raise SettingsError(
                f"{name}: no such variable.{meant}", remedy=f"After {PREFIX} may stand {', '.join(sorted(known))}."
            )
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"KEEPFIT_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise SettingsError(problems, remedy="Correct the variable or unset it.") from error
