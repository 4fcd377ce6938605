"""How much each example counts."""

import numpy as np
from sklearn.utils.class_weight import compute_class_weight


def example_weights(labels: np.ndarray, class_weight: str) -> np.ndarray:
    """Returns how much each example counts <float32>[rows]."""
    if class_weight == "none":
        return np.ones(len(labels), np.float32)
    classes = np.unique(labels)
    weights = compute_class_weight(class_weight, classes=classes, y=labels)
    by_class = np.zeros(classes.max() + 1, np.float32)
    by_class[classes] = weights
    return by_class[labels]
