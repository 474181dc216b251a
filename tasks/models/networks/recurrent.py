"""Networks that read words one after the other and keep a state."""

from typing import Any

from tasks.contracts.networks import Gru, Lstm, SimpleRnn
from tasks.models.networks.layers import add_answer, drop, penalty, read_words
from tasks.models.networks.shape import NetworkShape


def build_recurrent(keras: Any, shape: NetworkShape, spec: SimpleRnn | Lstm | Gru) -> Any:
    """Return layers of Elman's (1990), Hochreiter and Schmidhuber's (1997) or Cho et al.'s (2014) cells.

    Padding stands before the words (`tasks/models/text.py`), so that the last state is that after the last word: a mask
    would change nothing but the state that reading begins with, and would keep a GPU from its fast kernel.
    """
    cell = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[spec.name]
    numbers, tensor = read_words(keras, shape, spec)
    for layer in range(1, spec.layers + 1):
        reader = cell(spec.units, return_sequences=layer < spec.layers, kernel_regularizer=penalty(keras, spec))
        tensor = (keras.layers.Bidirectional(reader) if spec.bidirectional else reader)(tensor)
        tensor = drop(keras, tensor, spec.dropout)
    return keras.Model(numbers, add_answer(keras, tensor, shape, spec))
