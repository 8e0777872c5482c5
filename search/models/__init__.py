"""What samplers learn from and how: comparable trials, models of them, and Optuna around it."""
