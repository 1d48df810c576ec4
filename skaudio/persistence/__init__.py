"""Save and load fitted estimators without executing anything from the file."""

from skaudio.persistence._safetensors import load, save

__all__ = ["load", "save"]
