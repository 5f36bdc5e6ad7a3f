"""The configuration of a run, a file for each of its parts."""

from trainer.config.comparing import Ablation, Comparison, Plan, Study
from trainer.config.debater import Debater, Lora
from trainer.config.judging import Adversarial, JudgeTraining
from trainer.config.measuring import Audit, Evaluation, Watch
from trainer.config.placement import Cluster, Resources
from trainer.config.run_config import Config
from trainer.config.stopping import Limits, Wandb

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
    "Limits",
    "Lora",
    "Plan",
    "Resources",
    "Study",
    "Wandb",
    "Watch",
]
