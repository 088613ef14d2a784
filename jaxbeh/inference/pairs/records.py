"""What a run of pairs must remember for prediction, beside its weights."""

import json
from dataclasses import dataclass
from typing import Self

from jaxbeh.data.tracks import ActionVocabulary
from jaxbeh.errors import DataError


@dataclass(frozen=True)
class Known:
    """What a run learnt to name.

    Attributes:
        vocabulary: its c actions.
        labs: those trained on, in the order of their embeddings.
        lab_fold: of each lab the fold that holds out all its videos, −1 where none does.
        folds: K.
        seeds: networks a fold.
    """

    vocabulary: ActionVocabulary
    labs: tuple[str, ...]
    lab_fold: tuple[int, ...]
    folds: int
    seeds: int

    def to_json(self) -> str:
        """The text of `known.json`."""
        value = {
            "actions": self.vocabulary.to_json(),
            "labs": list(self.labs),
            "lab_fold": list(self.lab_fold),
            "folds": self.folds,
            "seeds": self.seeds,
        }
        return json.dumps(value, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            DataError: the text is something else.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"not JSON: {error}; restore the file") from None
        if not isinstance(value, dict) or not isinstance(value.get("actions"), dict):
            raise DataError(f"no record of actions, but {str(value)[:80]}; restore the file")
        labs, counts = value.get("labs"), (value.get("folds"), value.get("seeds"))
        if not isinstance(labs, list) or not all(isinstance(lab, str) for lab in labs):
            raise DataError(f"its labs are {str(labs)[:80]}, no list of texts; restore the file")
        folds, seeds = counts
        if type(folds) is not int or type(seeds) is not int or not 0 < folds * seeds <= 4096:
            raise DataError(f"its folds and seeds are {counts}; restore the file")
        # Runs that lack it took every lab for one that every network has learnt.
        lab_fold = value.get("lab_fold", [-1] * len(labs))
        if (
            not isinstance(lab_fold, list)
            or len(lab_fold) != len(labs)
            or not all(type(fold) is int and -1 <= fold < folds for fold in lab_fold)
        ):
            raise DataError(
                f"its lab_fold is {str(lab_fold)[:80]}, no fold or -1 for each of {len(labs)} "
                f"labs; restore the file"
            )
        vocabulary = ActionVocabulary.from_json(value["actions"])
        return cls(vocabulary, tuple(labs), tuple(lab_fold), folds, seeds)
