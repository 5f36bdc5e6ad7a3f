"""The configuration of a run, a file for each of its parts."""

from trainer.config.algorithm import Dpo, PolicyGradient, Ppo, Rae, Rloo
from trainer.config.comparing import Ablation, Comparison, Plan, Study
from trainer.config.debater import Debater, Lora
from trainer.config.judging import Adversarial, JudgeTraining
from trainer.config.measuring import Audit, Evaluation, Watch
from trainer.config.placement import Cluster, Resources
from trainer.config.run import Config
from trainer.config.stopping import Limits, Wandb

__all__ = [
    "Ablation", "Adversarial", "Audit", "Cluster", "Comparison", "Config", "Debater", "Dpo", "Evaluation",
    "JudgeTraining", "Limits", "Lora", "Plan", "PolicyGradient", "Ppo", "Rae", "Resources", "Rloo", "Study", "Wandb",
    "Watch",
]  # fmt: skip
