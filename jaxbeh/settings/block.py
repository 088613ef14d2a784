"""What all blocks of settings share, and their commonest values."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Units = Annotated[int, Field(ge=1)]


class Block(BaseModel):
    """What all settings share: frozen, no unknown keys, no conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
