"""How often the gate is right, on simulated pairs of models: `python -m benchmarks.gate [--json] [--trials N] [--more]`.

Each trial draws n test rows and goes through `tasks.evaluation.gate.decide`, as a run does. Model of dependence: both
models have an accuracy of 0.86 and disagree on 8 % of the rows (they share most of their errors); a candidate that is
better by D is right alone on (0.08 + D) / 2 of the rows and wrong alone on (0.08 - D) / 2; for D = 0.05 and more the
disagreement is the same, so nearly all of it is in the candidate's favour.

Beside it: a bare `>` on the two accuracies, and MLflow's rule. `mlflow.models.MetricThreshold` (documentation of
"mlflow.models", class MetricThreshold; source mlflow/models/evaluation/validation.py) lets a candidate pass when, for
greater_is_better, value >= baseline + min_absolute_change and value >= baseline * (1 + min_relative_change), where a
baseline of 0 asks for value >= 1e-10; no uncertainty enters.
"""

import argparse
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.candidates import Candidate
from tasks.contracts.columns import Column
from tasks.contracts.evaluation import ScoredModel, ScoredRows
from tasks.contracts.project import Evaluation, Gate, ProjectSpec, Source
from tasks.evaluation.answers import AnswerTable
from tasks.evaluation.gate import decide
from tasks.metrics.answers import Answers

ACCURACY = 0.86
DISCORDANCE = 0.08
MARGIN = 0.01
LATENCY_MS, SIZE_BYTES = 1.0, 1_000


@dataclass(frozen=True)
class Scenario:
    """What is true of the two models, and what is asked. `bound` is what keepfit's share must keep."""

    name: str
    n: int
    difference: float
    policy: Literal["superiority", "non_inferiority"] = "superiority"
    metric: str = "accuracy"
    bound: str = ""

    def holds(self, share: float) -> bool:
        """Return whether the share of promotions keeps the bound."""
        kind, _, value = self.bound.partition(" ")
        return {"": True, "<=": share <= float(value or 0), ">=": share >= float(value or 0)}[kind]


EQUAL = [Scenario("equal models", n, 0.0, bound="<= 0.03") for n in (30, 1_000, 25_000)]
BETTER = [
    Scenario("+1 point", 25_000, 0.01, bound=">= 0.95"),
    Scenario("+1 point", 1_000, 0.01),
    Scenario("+5 points", 1_000, 0.05),
]
AT_THE_MARGIN = [
    Scenario(f"worse by the margin of {MARGIN:g}", n, -MARGIN, "non_inferiority", bound="<= 0.03")
    for n in (30, 1_000, 25_000)
]
EQUAL_REFRESH = [Scenario("equal models, refresh", n, 0.0, "non_inferiority") for n in (1_000, 25_000)]
SCENARIOS = [*EQUAL, *BETTER, *AT_THE_MARGIN, *EQUAL_REFRESH]
MORE = [
    Scenario("equal models", n, 0.0, metric=metric, bound="<= 0.03")
    for metric in ("f1_macro", "log_loss", "roc_auc")
    for n in (30, 300)
]


def mlflow_passes(
    value: float, baseline: float, *, min_absolute_change: float | None = None, min_relative_change: float | None = None
) -> bool:
    """Return what `MetricThreshold(..., greater_is_better=True)` says of a candidate."""
    if min_absolute_change is not None and value < baseline + min_absolute_change:
        return False
    if min_relative_change is None:
        return True
    return value >= 1e-10 if baseline == 0 else value >= baseline * (1 + min_relative_change)


RULES: dict[str, Callable[[float, float], bool]] = {
    "bare >": lambda value, baseline: value > baseline,
    "MLflow absolute 0.001": lambda value, baseline: mlflow_passes(value, baseline, min_absolute_change=0.001),
    "MLflow absolute 0.01": lambda value, baseline: mlflow_passes(value, baseline, min_absolute_change=0.01),
    "MLflow relative 0.01": lambda value, baseline: mlflow_passes(value, baseline, min_relative_change=0.01),
}


def main() -> int:
    """Run all scenarios, print them, and return 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--more", action="store_true", help="also the metrics that are compared by bootstrap (slower)")
    chosen = parser.parse_args()
    logging.disable(logging.INFO)
    started, results = time.perf_counter(), []
    for place, scenario in enumerate([*SCENARIOS, *(MORE if chosen.more else [])]):
        results.append(run_scenario(scenario, chosen.trials, seed=place))
        if not chosen.json:
            print(_line(results[-1]), flush=True)
    seconds = round(time.perf_counter() - started, 1)
    if chosen.json:
        print(json.dumps({"trials": chosen.trials, "seconds": seconds, "results": results}, indent=2))
    else:
        print(f"{chosen.trials} trials each, {seconds} s")
    return 0 if all(result["kept"] for result in results) else 1


def run_scenario(scenario: Scenario, trials: int, seed: int) -> dict[str, object]:
    """Return the share of trials in which each rule promotes."""
    spec, started = make_spec(scenario), time.perf_counter()
    promoted: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    for table, scored in draw_trials(scenario, trials, seed):
        verdict = decide(spec, table, scored, champion_seq=1, champion_label="sim@1", test_uses=1)
        decisions[verdict.decision] += 1
        primary = next(check for check in verdict.checks if check.kind == "primary")
        for name, rule in RULES.items():
            # Turned so that more is better, as the rules have it.
            value = (primary.champion or 0.0) + (primary.difference or 0.0)
            promoted[name] += rule(value, primary.champion or 0.0)
    share = decisions["PROMOTE"] / trials
    return {
        **asdict(scenario),
        "keepfit": share,
        "keepfit_rejected": decisions["REJECT"] / trials,
        **{name: promoted[name] / trials for name in RULES},
        "kept": scenario.holds(share),
        "seconds": round(time.perf_counter() - started, 1),
    }


def draw_trials(scenario: Scenario, trials: int, seed: int) -> Iterator[tuple[AnswerTable, ScoredRows]]:
    """Yield test rows with the answers of two models, as the scenario says."""
    rng = np.random.default_rng(seed)
    alone = (DISCORDANCE + scenario.difference) / 2
    lost = (DISCORDANCE - scenario.difference) / 2
    shares = np.array([ACCURACY - lost, alone, lost, 1 - ACCURACY - alone])
    scored = make_scored(scenario.n)
    everything = np.ones(scenario.n, dtype=np.bool_)
    for _ in range(trials):
        truth = rng.integers(2, size=scenario.n)
        if len(np.unique(truth)) < 2:
            continue
        if scenario.metric == "accuracy":
            kind = np.searchsorted(np.cumsum(shares), rng.random(scenario.n)).clip(max=3)
            candidate = Answers("candidate", "sim", np.where(kind <= 1, truth, 1 - truth))
            champion = Answers("champion", "sim@1", np.where(kind % 2 == 0, truth, 1 - truth))
        else:
            candidate, champion = draw_scores(rng, truth)
        yield AnswerTable((0, 1), truth, (candidate, champion), everything), scored


def draw_scores(rng: np.random.Generator, truth: np.ndarray) -> tuple[Answers, Answers]:
    """Return two equally good models whose scores share 90 % of their noise; accuracy about 0.86."""
    apart, shared = 2.16, rng.standard_normal(len(truth)) * np.sqrt(0.9)
    models = []
    for role, label in (("candidate", "sim"), ("champion", "sim@1")):
        score = apart * (truth - 0.5) + shared + rng.standard_normal(len(truth)) * np.sqrt(0.1)
        p = 1 / (1 + np.exp(-apart * score))
        models.append(Answers(role, label, (p > 0.5).astype(np.int64), np.column_stack([1 - p, p])))
    return models[0], models[1]


def make_spec(scenario: Scenario) -> ProjectSpec:
    """Return the spec of the simulated project: the gate's defaults."""
    return ProjectSpec(
        name="sim",
        source=Source(function="sim:draw"),
        columns={"x": Column(type="number"), "y": Column(type="category")},
        target="y",
        candidates={"sim": Candidate(estimator="sklearn.dummy.DummyClassifier")},
        evaluation=Evaluation(metric=scenario.metric),
        gate=Gate(policy=scenario.policy, margin=MARGIN),
    )


def make_scored(n: int) -> ScoredRows:
    """Return the description of two different models."""
    models = tuple(
        ScoredModel(
            role=role,
            label=label,
            artifact=digit * 64,
            content=digit * 64,
            latency_ms=LATENCY_MS,
            size_bytes=SIZE_BYTES,
        )
        for role, label, digit in (("candidate", "sim", "a"), ("champion", "sim@1", "b"))
    )
    answers = ArtifactRef(digest="c" * 64, size_bytes=0, media_type="application/vnd.apache.parquet")
    return ScoredRows(test_digest="d" * 64, answers=answers, models=models, classes=(0, 1), rows=n)


def _line(result: dict[str, object]) -> str:
    shares = "  ".join(f"{name} {result[name]:6.1%}" for name in ("keepfit", *RULES))
    bound = f"[{result['bound']} {'kept' if result['kept'] else 'BROKEN'}]" if result["bound"] else ""
    what = f"{result['name']}, {result['metric']}, n={result['n']:,}, {result['policy']}"
    return f"{what:<75} {shares}  rejected {result['keepfit_rejected']:.1%}  {result['seconds']} s {bound}"


if __name__ == "__main__":
    sys.exit(main())
