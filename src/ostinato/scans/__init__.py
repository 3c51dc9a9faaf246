"""How cells run along time."""

from ostinato._folder import catalogue
from ostinato.scans.base import Scan

SCANS = catalogue("ostinato.scans", Scan)

__all__ = ["SCANS", "Scan"]
