"""Whom the policy that is trained meets in its debates: itself, the base debater, or a league of its own past."""
