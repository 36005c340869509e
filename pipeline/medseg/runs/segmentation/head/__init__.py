"""Classes beside masks: what a training with a head plans, knows and delivers."""
