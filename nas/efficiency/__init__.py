"""Records -> the measures of the comparison. Needs numpy and scipy, none of torch, ray, optuna, mlflow."""

from nas.efficiency.comparison import compare_records
from nas.efficiency.plan import Plan
from nas.efficiency.results import Comparison, SpaceComparison, TaskComparison
from nas.efficiency.selection import population_of

__all__ = ["Comparison", "Plan", "SpaceComparison", "TaskComparison", "compare_records", "population_of"]
