"""Save and load fitted estimators without executing anything from the file."""

from skaudio.persistence._classes import trusted_types
from skaudio.persistence._safetensors import load, save

__all__ = ["load", "save", "trusted_types"]
