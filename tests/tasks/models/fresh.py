"""What another process makes of the same models: `python -m tests.tasks.models.fresh NEW_FOLDER STORED_FOLDER`.

It fits every candidate anew and answers with the stored ones; each line is name, content digest, digest of answers.
"""

import hashlib
import sys
from pathlib import Path

from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import CLASSICAL, mixed_rows, mixed_spec
from tests.tasks.models.networks import load

NETWORK = {
    "network": {"build": "networks:words", "epochs": 2, "validation_share": 0.2},
    "prepare": {"text": {"encode": "tokens", "vocabulary": 20, "length": 6}},
}
CANDIDATES = {**CLASSICAL, "words": NETWORK}


def fit(name, path):
    """Fit and save one candidate and return its content digest."""
    candidates = {name: CANDIDATES[name]}
    columns = {"note": {"type": "text"}, "answer": {"type": "category"}}
    spec = mixed_spec(candidates, columns=columns) if name == "words" else mixed_spec(candidates)
    return save_model(fit_candidate(name, spec, mixed_rows(), load=load), path)


def answer(path):
    """Return a digest of the stored model's answers."""
    model, frame = load_model(path), mixed_rows(40, seed=9)
    said = model.predict_proba(frame).tobytes() + "".join(map(str, model.predict(frame))).encode()
    return hashlib.sha256(said).hexdigest()


if __name__ == "__main__":
    new, stored = map(Path, sys.argv[1:])
    for each in CANDIDATES:
        sys.stdout.write(f"{each} {fit(each, new / each)} {answer(stored / each)}\n")
