"""Metrics by task: functions of labels and answers, for any model."""
