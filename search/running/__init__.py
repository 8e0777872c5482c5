"""One run under way: its session on Ray Tune, its journal, its record, and what goes on after a break."""
