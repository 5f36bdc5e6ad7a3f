"""A protocol that is made in Python."""

from rostrum.envs.types import Protocol

ONE_WORD = Protocol("one-word", rounds=1, simultaneous=True, max_words=1)
