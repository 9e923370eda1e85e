"""How robust a classifier is.

    report = evaluation.evaluate(model, test_ds, attacks={"pgd": attacks.PGD(epsilon=0.3, step_size=0.01, steps=40)})
    print(report)

See evaluation.accuracy for what is counted. Beside it, each in a module of its own:

- black_box.transfer: adversarial images of other models; heat_map draws them.
- curves.accuracy_curves: accuracy against epsilon, steps and restarts; curves_figure draws them.
- surface.loss_surface: the loss around an image; surface_figure draws it.
- pictures, gallery: classes, logits and the most misled images.
- html.single_file: a report as one page.
"""

from alp_tf.evaluation.accuracy import evaluate
from alp_tf.evaluation.report import Evaluation, Finding, Report, percent, wilson_interval

__all__ = ["Evaluation", "Finding", "Report", "evaluate", "percent", "wilson_interval"]
