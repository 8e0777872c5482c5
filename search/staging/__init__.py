"""The parts of Stages: one stage, what each varies and takes for granted, windows of axes."""
