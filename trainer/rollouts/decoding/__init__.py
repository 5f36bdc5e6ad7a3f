"""What debaters do at inference beside sampling a speech once: one module per way, chosen by configs/decoding/.

None of it is for training: what is spoken is then chosen among samples or written in another context, and the tokens
are no longer what the policy samples in its place.
"""
