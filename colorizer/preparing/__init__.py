"""The parts of `prepare`: what one decoding tells of a drawing, what is left out, what is alike, labels, the page."""


class PrepareError(Exception):
    """Drawings that cannot become a dataset; the message says why and what to do."""
