"""Fixtures that several files here use."""

from tests.nas.mlflow_servers import any_store, own_server, tracking_store

__all__ = ["any_store", "own_server", "tracking_store"]
