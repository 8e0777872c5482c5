"""From the predictions of several members to one: weights, votes, second-level models."""
