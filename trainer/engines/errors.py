"""What can go wrong with an engine."""


class EngineError(ValueError):
    """A model or a request that the engine cannot serve; the message says what to do."""


class TransferError(RuntimeError):
    """Weights that did not reach their engines; the message says what to do."""


class EngineLost(EngineError):
    """The process behind an engine is gone; another engine could go on."""
