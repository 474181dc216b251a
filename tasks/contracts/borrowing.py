"""Weights that were learnt elsewhere: where they are, what they must be, and whose they are."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from infra.artifacts.reference import Digest
from tasks.contracts.frozen import Contract
from tasks.contracts.values import Positive, say_pattern

Inside = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"),
    say_pattern("a path inside a folder, such as data/vectors.txt"),
]
PackageName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    say_pattern("the name that an installed package is imported by"),
]
Sha256 = Annotated[Digest, say_pattern("a SHA-256: 64 of 0-9 and a-f")]
Said = Annotated[str, Field(min_length=1)]


Package = Annotated[
    PackageName | None,
    Field(
        description="Installed package that holds the files; none of its code is run. Left out: the project's folder."
    ),
]
Source = Annotated[Said, Field(description="Who made them and where they are from; kept with the version.")]
Licence = Annotated[Said, Field(description="Under which licence; kept with the version.")]


class Embeddings(Contract):
    """Word vectors learnt from far more text than there is here (GloVe: Pennington et al. 2014): for few rows."""

    package: Package = None
    vectors: Inside = Field(
        description="File of the vectors: a matrix (.npy, with `words`), or text with a word and its numbers a line, as GloVe's."
    )
    digest: Sha256 = Field(description="SHA-256 of that file; another file is never opened.")
    words: Inside | None = Field(
        None, description="File of the matrix' words in its order: .parquet (first column) or text, a word a line."
    )
    words_digest: Sha256 | None = Field(None, description="SHA-256 of that file.")
    source: Source
    licence: Licence
    trainable: bool = Field(False, description="true: they are learnt on from the first epoch; false: they stay.")
    unfreeze_after: Positive | None = Field(
        None,
        description="They stay for so many epochs, until the other layers know what to do with them, and are learnt on from "
        "then on (after Howard and Ruder 2018); the optimizer begins anew.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.words is None) != (self.words_digest is None):
            raise ValueError("words and words_digest stand together")
        if self.vectors.endswith(".npy") != (self.words is not None):
            raise ValueError("a matrix (.npy) needs `words`, and text has its words in it")
        if self.trainable and self.unfreeze_after:
            raise ValueError("what is trainable from the start is not unfrozen: leave trainable or unfreeze_after out")
        return self


class PretrainedWeights(Contract):
    """Weights of a whole network, learnt from far more pictures than there are here (ImageNet: Deng et al. 2009): for few rows.

    They stay, and only the layers after them learn (Donahue et al. 2014), unless they are let go.
    """

    package: Package = None
    file: Inside = Field(
        description="File of the weights by name: a torch checkpoint (.pth, whose pickle is read and never run), or .npz with "
        "the same names."
    )
    digest: Sha256 = Field(description="SHA-256 of that file; another file is never opened.")
    source: Source
    licence: Licence
    unfreeze_after: Positive | None = Field(
        None,
        description="They stay for so many epochs, until the layers after them know what to do with them, and are learnt on "
        "from then on (Yosinski et al. 2014): where there are some thousand rows. The optimizer begins anew.",
    )
    unfreeze_blocks: Positive | None = Field(
        None,
        description="So many of the last blocks are learnt on; the first ones, which see edges and colours, stay. Left out: all.",
    )
    unfreeze_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1,
        description="This times the learning rate from then on: what was learnt from many pictures is moved a little.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.unfreeze_blocks and not self.unfreeze_after:
            raise ValueError("unfreeze_blocks says what is let go: give unfreeze_after, which says when")
        return self


class BorrowedWeights(Contract):
    """Weights in a model that were learnt elsewhere."""

    source: str = Field(description="Who made them and where they are from.")
    licence: str = Field(description="Under which licence.")
    digest: Digest = Field(description="SHA-256 of the file that they were read from.")
