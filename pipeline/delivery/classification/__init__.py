"""Pictures of slice scores and of compared networks."""

from __future__ import annotations

from pipeline.delivery.classification.ball_chart import save_ball_chart, save_parameter_chart
from pipeline.delivery.classification.cam_picture import CamSlice, save_cam_picture
from pipeline.delivery.classification.compared import ComparedNetwork, GradientFlow, LossCurve
from pipeline.delivery.classification.confusion import save_confusion, save_outcomes
from pipeline.delivery.classification.curves import save_precision_recall, save_roc
from pipeline.delivery.classification.depth_charts import save_depth_chart, save_gradient_flow, save_loss_curves
from pipeline.delivery.classification.reliability import save_reliability
from pipeline.delivery.classification.study_curve import save_study_curves

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
