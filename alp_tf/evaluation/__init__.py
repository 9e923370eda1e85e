"""How robust a classifier is.

    report = evaluation.evaluate(model, test_ds, attacks={"pgd": attacks.PGD(epsilon=0.3, step_size=0.01, steps=40)})
    print(report)

See evaluation.accuracy for what is counted.
"""

from alp_tf.evaluation.accuracy import arrays, evaluate
from alp_tf.evaluation.report import Evaluation, Finding, Report, percent, wilson_interval

__all__ = ["Evaluation", "Finding", "Report", "arrays", "evaluate", "percent", "wilson_interval"]
