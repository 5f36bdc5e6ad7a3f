"""The configuration of a run, a file for each of its parts."""

from rostrum.trainer.config.comparing import Ablation, Comparison, Plan, Study
from rostrum.trainer.config.debater import Debater, Lora
from rostrum.trainer.config.judging import Adversarial, JudgeTraining
from rostrum.trainer.config.learner_overrides import LearnerOverrides
from rostrum.trainer.config.measuring import Audit, Evaluation, Monitor
from rostrum.trainer.config.people import People
from rostrum.trainer.config.placement import Cluster, Resources
from rostrum.trainer.config.run_config import Config
from rostrum.trainer.config.stopping import Limits, Wandb
from rostrum.trainer.config.warming import WarmStart

__all__ = [
    "Ablation",
    "Adversarial",
    "Audit",
    "Cluster",
    "Comparison",
    "Config",
    "Debater",
    "Evaluation",
    "JudgeTraining",
    "LearnerOverrides",
    "Limits",
    "Lora",
    "Plan",
    "Resources",
    "Study",
    "Wandb",
    "Monitor",
    "People",
    "WarmStart",
]
