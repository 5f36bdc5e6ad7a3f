"""Models behind an OpenAI-compatible endpoint: asked over HTTP, paid for by the token, and never asked twice.

`scorer.EndpointScorer` is the `Scorer` of a judge with engine=endpoint; `estimate` says what a judge would cost.
"""
