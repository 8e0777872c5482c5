"""When trials, and the run, have gone on long enough: rules about numbers, stoppers and schedulers of Ray Tune."""
