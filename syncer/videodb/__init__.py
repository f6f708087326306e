"""The API of VideoDB: client, JSON, link expiry, listing."""

from syncer.videodb.client import ApiClient
from syncer.videodb.links import read_expiry
from syncer.videodb.lister import VideoDb

__all__ = ["ApiClient", "VideoDb", "read_expiry"]
