"""What the keys of a network's training change: rates, steps, losses, the end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import SpecError
from tasks.contracts.networks import Network
from tasks.contracts.optimisation import Optimizer
from tasks.models.networks.compiling import build_optimizer, compile_network
from tasks.models.networks.losses import build_loss, focal, huber, pairwise
from tasks.models.networks.rates import plan_rates
from tasks.models.networks.weighing import weigh_classes
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.models.tensorflow_runtime import start_keras
from tests.tasks.models.examples import no_functions, number_rows, numbers_spec
from tests.tasks.named_networks import LOSSES, SCHEDULES, named

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]

DENSE = {"architecture": {"name": "dense", "units": [4]}, "batch_size": 20}


def network(**keys):
    return Network.model_validate({**DENSE, **keys})


def fit(frame=None, on_epoch=None, **keys):
    spec = numbers_spec({"one": {"network": {**DENSE, **keys}}})
    rows = number_rows() if frame is None else frame
    return fit_candidate("one", spec, rows, load=no_functions, on_epoch=on_epoch)


def rates(name, epochs, steps, **parameters):
    schedule = network(schedule={**named(SCHEDULES, name), **parameters}).schedule
    return plan_rates(schedule, 0.4, epochs, steps)


@pytest.mark.parametrize("name", ["constant", "cosine", "step"])
def test_a_warm_up_rises_evenly_to_the_rate(name):
    assert np.allclose(
        rates(name, 4, 5, warmup_epochs=2, **({"every": 4} if name == "step" else {}))[:10], 0.04 * np.arange(1, 11)
    )


def test_a_cosine_falls_from_the_rate_by_half_a_wave():
    planned = rates("cosine", 3, 4, warmup_epochs=1, end=0.5)
    assert np.allclose(planned[4:], 0.2 + 0.1 * (1 + np.cos(np.pi * np.arange(8) / 8)))


def test_steps_fall_at_their_epochs():
    assert np.allclose(rates("step", 5, 2, warmup_epochs=0), [0.4] * 4 + [0.2] * 4 + [0.1] * 2)


def test_one_cycle_rises_comes_back_and_falls_to_its_end():
    planned = rates("one_cycle", 10, 10, rise=0.4, start=0.1, end=0.01)
    assert np.allclose(planned[[0, 20, 40, 60, 80, 90]], [0.04, 0.22, 0.4, 0.22, 0.04, 0.022])


@given(
    st.sampled_from(["constant", "cosine", "step", "one_cycle"]),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(0, 9),
)
def test_no_rate_is_above_the_given_one_and_a_longer_warm_up_than_training_is_none(name, epochs, steps, warmup):
    planned = rates(name, epochs, steps, **({} if name == "one_cycle" else {"warmup_epochs": warmup}))
    assert planned.shape == (epochs * steps,)
    assert (planned > 0).all()
    assert (planned <= 0.4 + 1e-12).all()


def test_the_optimizer_takes_each_step_with_the_planned_rate():
    keras = start_keras(2)
    spec = network(epochs=2, optimizer={"name": "sgd", "learning_rate": 0.4}, schedule=named(SCHEDULES, "cosine"))
    one = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    compile_network(keras, one, spec, classes=0, steps=3)
    planned = plan_rates(spec.schedule, 0.4, 2, 3)
    before, moved = 0.0, []
    for _ in range(6):
        # The loss is (w - 1)²: a step moves w by the rate times 2 (1 - w).
        one.train_on_batch(np.ones((1, 1)), np.ones(1))
        after = float(one.get_weights()[0][0, 0])
        moved.append((after - before) / (2 * (1 - before)))
        before = after
    assert np.allclose(moved, planned, rtol=1e-4)


def test_a_plateau_lowers_the_rate_and_the_history_shows_it():
    plateau = {"name": "plateau", "patience": 1, "factor": 0.5, "min_delta": 10}
    model = fit(epochs=4, schedule=plateau, optimizer={"name": "sgd", "learning_rate": 0.4})
    assert np.allclose(model.history["learning_rate"], [0.4, 0.4, 0.2, 0.1])


def step(rate=1.0, start=2.0, gradient=(3.0, 4.0), **keys):
    """Return by how much one step moves two weights that both stood at `start`."""
    keras = start_keras(2)
    weights = keras.Variable(np.full(2, start, dtype=np.float32), name="kernel")
    optimizer = build_optimizer(keras, Optimizer.model_validate(keys), rate)
    optimizer.apply([keras.ops.convert_to_tensor(np.array(gradient, dtype=np.float32))], [weights])
    return np.asarray(weights) - start


@pytest.mark.parametrize(
    ("keys", "moved"),
    [
        ({}, (-3, -4)),
        ({"clip_norm": 1}, (-0.6, -0.8)),
        ({"clip_norm": 10}, (-3, -4)),
        ({"clip_value": 3.5}, (-3, -3.5)),
        ({"weight_decay": 0.1}, (-3.2, -4.2)),
    ],
    ids=["plain", "cut to length 1", "short enough", "each within 3.5", "decayed"],
)
def test_a_plain_step_is_the_gradient_cut_and_decayed_as_asked(keys, moved):
    assert np.allclose(step(name="sgd", **keys), moved)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "adamw"])
def test_each_optimizer_steps_against_the_gradient_and_decays_weights(name):
    plain, decayed = step(name=name, weight_decay=0), step(name=name, weight_decay=0.1)
    assert (plain < 0).all()
    assert np.allclose(decayed, plain - 0.2, atol=1e-5)


def test_momentum_takes_part_of_the_last_step_again():
    keras = start_keras(2)
    weight = keras.Variable(np.zeros(1, dtype=np.float32), name="kernel")
    optimizer = build_optimizer(keras, Optimizer(name="sgd", momentum=0.5), 1.0)
    for _ in range(2):
        optimizer.apply([keras.ops.ones((1,))], [weight])
    assert np.allclose(weight, -2.5)


def test_weight_decay_leaves_biases_alone_and_makes_weights_small():
    free, decayed = (
        fit(epochs=5, optimizer={"name": "sgd", "learning_rate": 0.1, "weight_decay": decay}).network
        for decay in (0, 2)
    )
    sizes = [np.abs(one.get_weights()[0]).sum() for one in (free, decayed)]
    assert sizes[1] < 0.5 * sizes[0]
    keras = start_keras(2)
    bias = keras.Variable(np.ones(1, dtype=np.float32), name="bias")
    build_optimizer(keras, Optimizer(name="sgd", weight_decay=0.5), 1.0).apply([keras.ops.zeros((1,))], [bias])
    assert np.allclose(bias, 1)


TRUTH = np.array([0, 1, 1, 0])
TWO = np.array([[0.2], [0.7], [0.4], [0.9]], dtype=np.float32)
THREE = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]], dtype=np.float32)


@pytest.mark.parametrize(("answers", "classes"), [(TWO, 2), (THREE, 3)], ids=["two", "three"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_focal_loss_with_gamma_0_is_kerass_cross_entropy(answers, classes, smoothing):
    keras = start_keras(2)
    if classes == 2:
        theirs = keras.losses.binary_crossentropy(TRUTH[:, None].astype("float32"), answers, label_smoothing=smoothing)
    else:
        one_hot = keras.ops.one_hot(TRUTH, 3, dtype="float32")
        theirs = keras.losses.categorical_crossentropy(one_hot, answers, label_smoothing=smoothing)
    ours = focal(keras.ops, TRUTH, answers, classes=classes, gamma=0.0, smoothing=smoothing)
    assert np.allclose(ours, theirs, atol=1e-6)


def test_focal_loss_is_cross_entropy_times_what_is_missing_to_the_power_of_gamma():
    found = focal(start_keras(2).ops, TRUTH, TWO, classes=2, gamma=2.0, smoothing=0.0)
    given_true = np.array([0.8, 0.7, 0.4, 0.1])
    assert np.allclose(found, -((1 - given_true) ** 2) * np.log(given_true), atol=1e-5)


def test_the_pairwise_loss_is_the_mean_over_pairs_and_nothing_for_one_class():
    ops = start_keras(2).ops
    score = np.log(TWO / (1 - TWO))[:, 0]
    pairs = [np.log1p(np.exp(score[low] - score[high])) for high in (1, 2) for low in (0, 3)]
    assert np.isclose(np.mean(pairwise(ops, TRUTH, TWO)), np.mean(pairs), atol=1e-5)
    assert np.allclose(pairwise(ops, np.ones(4), TWO), 0)


def test_huber_is_squared_near_zero_and_straight_far_off():
    found = huber(start_keras(2).ops, np.zeros((3, 1)), np.array([[0.5], [2.0], [-5.0]]), delta=2.0)
    assert np.allclose(found, [0.125, 2.0, 8.0])


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "pairwise"])
def test_a_loss_of_classes_is_made_smaller(name):
    loss = {"name": name} if name == "pairwise" else {"name": name, "label_smoothing": 0.1}
    history = fit(epochs=4, loss=loss, optimizer={"learning_rate": 0.02}).history["loss"]
    assert history[-1] < history[0]


def test_the_pairwise_loss_orders_rows_by_their_class():
    frame = number_rows(200)
    share = fit(frame, epochs=8, loss={"name": "pairwise"}, optimizer={"learning_rate": 0.02}).predict_proba(frame)[
        :, 1
    ]
    higher, lower = share[frame["y"] == 1], share[frame["y"] == 0]
    assert np.mean(higher[:, None] > lower[None, :]) > 0.95


@pytest.mark.parametrize(
    ("name", "classes", "said"),
    [
        ("mse", 2, "loss mse: expected one of cross_entropy, focal, pairwise, for the target is 2 classes"),
        ("focal", 0, "loss focal: expected one of mse, mae, huber, for the target is a number"),
        ("pairwise", 3, "loss pairwise: expected two classes to rank between, received 3"),
    ],
)
def test_a_loss_that_does_not_fit_the_target_is_refused(name, classes, said):
    with pytest.raises(SpecError, match=said):
        build_loss(start_keras(2), network(loss=named(LOSSES, name)).loss, classes)


@pytest.mark.parametrize(("name", "built"), [("mse", "mse"), ("mae", "mae"), (None, "mse")])
def test_a_loss_of_numbers_is_keras_own(name, built):
    assert build_loss(start_keras(2), network(loss=named(LOSSES, name)).loss if name else None, 0) == built


def test_class_weights_count_rows_and_a_class_that_is_not_there_is_refused():
    loss = network(loss={"name": "cross_entropy", "class_weights": {"true": 3}}).loss
    target, classes = np.array([True, False, True]), np.array([False, True])
    assert weigh_classes(target, None, loss, classes).tolist() == [3, 1, 3]
    assert weigh_classes(target, np.array([1, 2, 0.5]), loss, classes).tolist() == [3, 2, 1.5]
    with pytest.raises(SpecError, match=r"expected one of no, yes, received 'true'"):
        weigh_classes(np.array(["no"]), None, loss, np.array(["no", "yes"]))


def test_a_class_that_counts_more_is_answered_more():
    frame = number_rows()
    shares = [
        fit(
            frame, epochs=3, loss={"name": "cross_entropy", "class_weights": weights}, optimizer={"learning_rate": 0.02}
        )
        .predict_proba(frame)[:, 1]
        .mean()
        for weights in ({}, {"1": 20})
    ]
    assert shares[1] > shares[0] + 0.05, shares


def noisy(n=60):
    """Return rows whose class nothing tells: what is learnt beyond the first epochs is learnt by heart."""
    return number_rows(n).assign(y=np.random.default_rng(0).integers(0, 2, n))


STOPPING = {"validation_share": 0.3, "optimizer": {"learning_rate": 0.1}, "epochs": 12}


def weights_of(model):
    return model.network.get_weights()


@pytest.fixture(scope="module")
def stopped():
    told = []
    model = fit(
        noisy(),
        lambda *news: told.append(news[:2]),
        refit=False,
        early_stopping={"metric": "loss", "patience": 2},
        **STOPPING,
    )
    return model, told


def test_training_ends_early_with_the_weights_of_the_best_epoch(stopped):
    model, told = stopped
    losses = model.history["val_loss"]
    assert len(losses) == model.epochs + 2 < 12
    assert model.epochs == np.argmin(losses) + 1
    assert told == [(epoch, 12) for epoch in range(1, len(losses) + 1)]
    best = fit(noisy(), refit=False, **{**STOPPING, "epochs": model.epochs})
    assert all(np.array_equal(*pair) for pair in zip(weights_of(model), weights_of(best), strict=True))


def test_a_refit_trains_all_rows_for_as_many_epochs_as_were_best(stopped, tmp_path):
    watched, _ = stopped
    told = []
    again = fit(noisy(), lambda *news: told.append(news[:2]), early_stopping={"patience": 2}, **STOPPING)
    ran, best = len(watched.history["loss"]), watched.epochs
    assert len(again.history["refit_loss"]) == again.epochs == best
    assert again.history["val_loss"] == watched.history["val_loss"]
    assert told == [(at, 24) for at in range(1, ran + 1)] + [(ran + at, ran + best) for at in range(1, best + 1)]
    plain = fit(noisy(), epochs=best, optimizer=STOPPING["optimizer"])
    assert save_model(again, tmp_path / "again") == save_model(plain, tmp_path / "plain")


def test_a_gain_that_is_not_above_min_delta_is_none():
    model = fit(noisy(), refit=False, early_stopping={"patience": 1, "min_delta": 10}, **STOPPING)
    assert (len(model.history["val_loss"]), model.epochs) == (2, 1)


def test_selection_judges_a_network_that_ends_early_as_it_will_be_fitted(tmp_path):
    from tasks.models.inputs import Rows
    from tasks.models.recipes import fit_rows

    spec = numbers_spec({"one": {"network": {**DENSE, **STOPPING, "epochs": 4, "early_stopping": {"patience": 1}}}})
    rows = Rows.read(noisy(), spec)
    both = {
        save_model(fit_rows("one", spec, rows, load=no_functions, watch=watch), tmp_path / "model")
        for watch in (True, False)
    }
    assert len(both) == 1


def test_ending_by_a_metric_that_is_not_told_is_refused_with_the_nearest():
    with pytest.raises(SpecError, match=r"one of accuracy, loss, received 'acuracy'. Did you mean 'accuracy'\?"):
        fit(early_stopping={"metric": "acuracy"}, **STOPPING)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"architecture": None}, "exactly one of build, architecture"),
        ({"build": "net:build"}, "exactly one of build, architecture"),
        ({"architecture": None, "build": "n:b", "loss": {"name": "mse"}}, "loss: for `architecture`"),
        ({"early_stopping": {}}, "needs rows that watch"),
        ({"optimizer": {"momentum": 0.9}}, "momentum stands with sgd or rmsprop"),
        ({"optimizer": {"clip_norm": 1, "clip_value": 1}}, "choose one"),
    ],
    ids=["none", "both", "loss of its own", "nobody watches", "momentum", "clips"],
)
def test_keys_that_contradict_each_other_are_refused(keys, said):
    with pytest.raises(ValueError, match=said):
        network(**keys)
