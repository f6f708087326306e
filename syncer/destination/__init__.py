"""Where files go: a folder, proven to be the right one before anything is written to it."""

from syncer.destination.folder import FolderDestination
from syncer.destination.manifest import ManifestLine, manifest_of, read_manifest

__all__ = ["FolderDestination", "ManifestLine", "manifest_of", "read_manifest"]
