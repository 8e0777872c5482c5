"""Where the predictions of an ensemble come from: checkpoints, averages of their weights, models trained on parts."""
