"""Pictures of slice scores and of compared networks."""

from __future__ import annotations

from medseg.delivery.classification.ball_chart import save_ball_chart, save_parameter_chart
from medseg.delivery.classification.cam_picture import CamSlice, save_cam_picture
from medseg.delivery.classification.compared import ComparedNetwork, GradientFlow, LossCurve
from medseg.delivery.classification.confusion import save_confusion, save_outcomes
from medseg.delivery.classification.curves import save_precision_recall, save_roc
from medseg.delivery.classification.depth_charts import save_depth_chart, save_gradient_flow, save_loss_curves
from medseg.delivery.classification.reliability import save_reliability
from medseg.delivery.classification.study_curve import save_study_curves

__all__ = [
    "CamSlice",
    "ComparedNetwork",
    "GradientFlow",
    "LossCurve",
    "save_ball_chart",
    "save_cam_picture",
    "save_confusion",
    "save_depth_chart",
    "save_gradient_flow",
    "save_loss_curves",
    "save_outcomes",
    "save_parameter_chart",
    "save_precision_recall",
    "save_reliability",
    "save_roc",
    "save_study_curves",
]
