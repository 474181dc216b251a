"""Keys of project.yaml for columns: what their values must be, and what becomes of rows that break it."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tasks.contracts.frozen import Contract
from tasks.contracts.values import Positive, Share

ColumnType = Literal["number", "integer", "boolean", "category", "text", "datetime", "image"]

Pixels = Annotated[int, Field(ge=1, le=4096)]


class ImageSize(Contract):
    """What a model sees of a picture: others are scaled to it."""

    height: Pixels = Field(description="Rows of pixels.")
    width: Pixels = Field(description="Columns of pixels.")
    channels: Literal[1, 3] = Field(3, description="1: shades of grey; 3: red, green and blue.")


class Column(Contract):
    """The contract of one column."""

    type: ColumnType = Field(
        description="What the values are; category: one of a few values, text: words, image: a picture as the bytes of a PNG "
        "or JPEG file."
    )
    meaning: str = Field("", description="What the column says, in words.")
    unit: str = Field("", description="Unit of a number.")
    min: float | None = Field(None, description="Smallest allowed value, inclusive (number, integer).")
    max: float | None = Field(None, description="Largest allowed value, inclusive (number, integer).")
    allowed: list[str | int | float | bool] | None = Field(None, description="The only allowed values.")
    null_share: Share = Field(0.0, description="Largest allowed share of missing values.")
    unique: bool = Field(False, description="No value may occur twice.")
    max_length: Positive | None = Field(None, description="Longest allowed text, in characters.")
    size: ImageSize | None = Field(None, description="image: the size at which a model sees the pictures.")
    feature: bool = Field(True, description="False: kept, checked and sliced on, but never shown to a model.")
    known: Literal["before"] | None = Field(
        None,
        description="before: a person vouches that the value is known before the target, however well it predicts it or "
        "is mended later; the leak guard then lets it pass.",
    )

    @property
    def is_quotable(self) -> bool:
        """Whether messages may show its values: what people wrote is theirs, and a picture's bytes say nothing."""
        return self.type not in ("text", "image")


class Expectation(Contract):
    """One more Great Expectations check, in GX's own name and arguments."""

    expectation: str = Field(description="e.g. expect_column_pair_values_a_to_be_greater_than_b")
    arguments: dict[str, JsonValue] = Field(
        default_factory=dict, description="The check's arguments, as GX names them."
    )


class Validation(Contract):
    """What happens with rows that break the contract."""

    quarantine_share: Share = Field(
        0.0, description="Largest share of rows that may be set aside; above it the run stops."
    )
    min_rows: Positive = Field(20, description="Fewer different rows than this are not enough to say anything.")
    expectations: list[Expectation] = Field(
        default_factory=list, description="Checks beyond what the columns say, for rules across columns."
    )
