"""A second process that brings files: the end that asks for them, and what goes between the two."""

from syncer.helper.process import HelperProcess
from syncer.helper.setup import Setup

__all__ = ["HelperProcess", "Setup"]
