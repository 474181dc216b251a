"""Networks by name: pure functions from the shape of the data and typed parameters to a Keras network.

Keras is handed in as a module by whoever started it: nothing here imports it, and nothing here is on a network's
stored form that `tasks/models/layers.py` does not list.
"""
