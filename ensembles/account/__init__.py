"""What an ensemble is worth and what it costs: scores, intervals, pictures."""
