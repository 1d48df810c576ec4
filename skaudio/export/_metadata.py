"""What is known about an exported model, as texts in its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

PROBABILITIES, TAGS, EMBEDDING = "probabilities", "tags", "embeddings"
OUTPUTS = (PROBABILITIES, TAGS, EMBEDDING)


@dataclass(frozen=True)
class Metadata:
    """What is known about an exported model; see `to_onnx`."""

    skaudio_version: str
    sr: float
    output: str
    shortest: int
    classes: list[Any] | None
    networks: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """Name of the output."""
        return EMBEDDING if self.output == EMBEDDING else PROBABILITIES

    def texts(self) -> dict[str, str]:
        """As ONNX keeps them."""
        return {
            "skaudio_version": self.skaudio_version,
            "sr": f"{self.sr:.17g}",
            "output": self.output,
            "shortest": str(self.shortest),
            "classes": json.dumps(self.classes, allow_nan=False),
            "networks": json.dumps(self.networks, allow_nan=False),
        }

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Self:
        """Read what `texts` gave; a ValueError says what is wrong with them."""
        if "skaudio_version" not in texts or "sr" not in texts:
            raise ValueError(
                "it has no metadata of skaudio: skaudio_version, sr and others. Write "
                "it with skaudio.export.to_onnx."
            )
        try:
            found = cls(
                skaudio_version=texts["skaudio_version"],
                sr=float(texts["sr"]),
                output=texts["output"],
                shortest=int(texts["shortest"]),
                classes=json.loads(texts["classes"]),
                networks=json.loads(texts["networks"]),
            )
        except (KeyError, ValueError) as error:
            raise ValueError(f"its metadata are damaged: {error!r}.") from error
        if not 0 < found.sr < float("inf") or found.output not in OUTPUTS:
            raise ValueError(
                f"its metadata are damaged: sr={found.sr}, output={found.output!r}."
            )
        return found
