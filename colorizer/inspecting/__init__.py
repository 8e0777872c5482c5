"""Where a model errs and what it looks for, and the page on it: what `huetune inspect` writes."""
