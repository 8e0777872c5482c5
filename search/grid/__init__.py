"""The parts of JitteredGrid: an axis cut into cells, the order of visits, rounds, and what they come to."""
