"""From settings to a trained network: the training loop, its evaluation, scikit-learn."""
