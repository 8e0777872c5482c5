"""What a crew predicts for a split, read batch by batch from the cache: nothing of it is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ensembles.combining.combiner import Array, Positions, Predicted
from ensembles.combining.gram import ErrorGram, Floats
from ensembles.combining.method import Measures
from ensembles.members.crew import Crew, counted


@dataclass(frozen=True, eq=False)
class Observation:
    """`Observed` over seats of a crew.

    Attributes:
        crew, split: what predicts, and what.
        whole_gram: (N, K, K), of all seats and examples.
        whole_groups: (N,).
        examples: (N,), a mask: those in view.
        positions: (k,), the seats in view.
    """

    crew: Crew
    split: str
    whole_gram: Floats
    whole_groups: npt.NDArray[np.int64]
    examples: npt.NDArray[np.bool_]
    positions: Positions

    @classmethod
    def of_split(cls, crew: Crew, split: str, say: Callable[[str], None] = lambda text: None) -> Observation:
        """Everything, after one pass over the split. Raises `BadPredictions` for a seat that fails."""
        gram = ErrorGram(len(crew.seats))
        groups: list[Array] = []
        for count, batch in counted(crew.judge, split):
            say(f"{split} split, {count} examples")
            gram.add(crew.predict(batch).values, batch.targets)
            groups.append(np.asarray(batch.groups))
        joined = np.concatenate(groups)
        all_examples = np.ones(len(joined), dtype=np.bool_)
        return cls(crew, split, gram.per_example, joined, all_examples, np.arange(len(crew.seats)))

    @property
    def members(self) -> int:
        return len(self.positions)

    @property
    def measures(self) -> Measures:
        return self.crew.judge

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        return self.whole_groups[self.examples]

    @property
    def gram(self) -> Floats:
        return self.whole_gram[np.ix_(np.flatnonzero(self.examples), self.positions, self.positions)]

    def stream(self) -> Iterator[tuple[Predicted, Array]]:
        """Predictions with targets, batch by batch. Raises `BadPredictions` for a seat that fails."""
        for count, batch in counted(self.crew.judge, self.split):
            wanted = self.examples[count - len(batch.names) : count]
            if wanted.any():
                predicted = self.crew.predict(batch, self.positions)
                yield predicted.rows(wanted), np.asarray(batch.targets)[wanted]

    def only(self, examples: npt.NDArray[np.bool_]) -> Observation:
        chosen = np.zeros_like(self.examples)
        chosen[np.flatnonzero(self.examples)[examples]] = True
        return replace(self, examples=chosen)

    def of(self, members: Sequence[int] | Positions) -> Observation:
        return replace(self, positions=self.positions[np.asarray(members, dtype=np.intp)])
