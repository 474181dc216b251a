"""The steps of evaluation: what the candidate is worth, and whether it may go."""

import logging

from tasks.contracts.champions import ChampionRef
from tasks.contracts.evaluation import EvaluationReport, GateCheck, ScoredRows, Verdict
from tasks.contracts.models import FitReport
from tasks.contracts.runs import RunContext
from tasks.contracts.upkeep import GatePolicy
from tasks.policies import step
from tasks.workbench import PNG, opened

logger = logging.getLogger(__name__)


@step
def evaluate(run: RunContext, scored: ScoredRows, fit: FitReport) -> EvaluationReport:
    """Return the candidate's metrics with their intervals, beside those of the others, and the pictures."""
    import json

    from tasks.evaluation.answers import read_answers
    from tasks.evaluation.evaluate import evaluate_rows
    from tasks.evaluation.pictures import draw_pictures
    from tasks.evaluation.search_pictures import draw_studies, read_studies

    with opened(run) as bench:
        table = read_answers(bench.read_frame(scored.answers), scored, bench.spec, bench.own_metrics())
        numbers = evaluate_rows(bench.spec, table, scored, fit.class_prior, fit.centre)
        histories = json.loads(bench.store.read(fit.history)) if fit.history else {}
        history = histories.get(fit.chosen.candidate) or next(iter(histories.values()), None)
        drawn = draw_pictures(bench.spec, table, numbers, selection=fit.selection, history=history)
        if fit.studies:
            drawn |= draw_studies(read_studies(bench.store.read(fit.studies)), fit.tuned)
        pictures = {title: bench.store.put_bytes(data, PNG) for title, data in drawn.items()}
        first = numbers.metrics[0]
        logger.info("%s %.3f [%.3f, %.3f] on %d test rows", first.metric, first.value, first.low, first.high, first.n)
        return numbers.with_pictures(pictures)


@step
def decide(run: RunContext, scored: ScoredRows, fit: FitReport, champion: ChampionRef, policy: GatePolicy) -> Verdict:
    """Return the gate's verdict; judging uses up the test rows a little, and that is counted.

    `policy` is what this run's trigger asks for (`retraining.policies`, else `gate.policy`).
    """
    from infra.registry.records import Fencing
    from tasks.evaluation import gate
    from tasks.evaluation.answers import read_answers

    with opened(run) as bench:
        fencing = Fencing(run.run_id, run.project, run.fence)
        uses = bench.registry.record_test_use(fencing, run.project, scored.test_digest, fit.chosen.content)
        table = read_answers(bench.read_frame(scored.answers), scored, bench.spec, bench.own_metrics())
        spec = bench.spec.model_copy(update={"gate": bench.spec.gate.model_copy(update={"policy": policy})})
        if champion.label is None:
            verdict = gate.decide_first(
                spec,
                table,
                scored,
                class_prior=fit.class_prior,
                centre=fit.centre,
                champion_seq=champion.seq,
                test_uses=uses,
            )
        else:
            verdict = gate.decide(
                spec,
                table,
                scored,
                champion_seq=champion.seq,
                champion_label=champion.label,
                test_uses=uses,
            )
    verdict = hold_if_withdrawn(verdict, champion)
    passed = sum(check.status == "pass" for check in verdict.checks)
    logger.info("%s: %d of %d checks passed", verdict.decision, passed, len(verdict.checks))
    return verdict


def hold_if_withdrawn(verdict: Verdict, champion: ChampionRef) -> Verdict:
    """Return HOLD for a model that somebody rolled back from or refused, whatever its figures; else the verdict."""
    if verdict.decision != "PROMOTE":
        return verdict
    if verdict.candidate_content in champion.withdrawn:
        return _hold(verdict, "not withdrawn", "rolled back from")
    if verdict.candidate_content in champion.refused:
        return _hold(verdict, "not refused", "refused to release")
    return verdict


def _hold(verdict: Verdict, name: str, done: str) -> Verdict:
    check = GateCheck(
        name=name,
        kind="integrity",
        status="inconclusive",
        detail=f"somebody {done} this very model; `keepfit history` says why",
    )
    return verdict.model_copy(
        update={
            "decision": "HOLD",
            "checks": (check, *verdict.checks),
            "summary": f"It passes, but it is a model that somebody {done}.",
            "next_step": "If it may serve, release it by hand: keepfit promote VERSION --why …",
        }
    )
