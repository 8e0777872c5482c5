"""Why a trial failed, in a line."""


def reason(error: str | None, longest: int = 160) -> str:
    """The line of an error that says why: the last that is not indented, shortened."""
    lines = [line for line in (error or "").strip().splitlines() if line.strip()]
    if not lines:
        return "no reason was recorded"
    flush = [line for line in lines if not line.startswith((" ", "\t", "Traceback"))]
    text = (flush or lines)[-1].strip().rstrip(".")
    return text if len(text) <= longest else text[: longest - 1] + "…"
