"""The one shape of every contract: frozen, and unknown keys refused."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """What stages exchange. Immutable; JSON both ways; no behaviour beyond validation."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null", protected_namespaces=())
