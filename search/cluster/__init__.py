"""A search on a cluster: what travels there, the jobs, the machines, and the file that `ray up` reads."""
